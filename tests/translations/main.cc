// lb_translations [--only TEXT] [--show] [--fails] PATH...: runs every case of the files, or of the *.case of a folder.
// --show prints what each became. See cases/files.h.
#include "cases/files.h"
#include "translations/case.h"

int main(int argc, char** argv) {
  lb::cases::CaseFiles files;
  auto fault_of = [&](const lb::translations::Case& one) { return run_case(one, files.show); };
  for (int i = 1; i < argc; i++)
    if (!files.take_option(argc, argv, i)) files.run(argv[i], lb::translations::read_cases, fault_of);
  return files.finish();
}
