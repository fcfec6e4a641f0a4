//! The declarations of this crate against `lb.h`: C that fails to compile where a size, an offset, a member or a
//! signature differs; and a look at the header for what is missing here.
use crate::declarations::{layouts, SIGNATURES};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A table of the structs, of their members.
macro_rules! structs {
    ($($name:ident { $($member:ident: $type:ty),* $(,)? })*) => {
        pub(crate) fn layouts() -> Vec<crate::header_test::Layout> {
            vec![$({
                let it = $name::default();
                let members = vec![$((stringify!($member), stringify!($type),
                    std::ptr::addr_of!(it.$member) as usize - std::ptr::addr_of!(it) as usize)),*];
                crate::header_test::Layout { name: stringify!($name), size: std::mem::size_of::<$name>(), members }
            }),*]
        }
    };
}

/// A table of the functions, of their signatures.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        pub(crate) const SIGNATURES: &[(&str, &[&str], &str)] =
            &[$((stringify!($name), &[$(stringify!($type)),*], concat!($(stringify!($result))?))),*];
        // As they are declared, by the compiler's eye.
        const _: () = { $(let _: unsafe extern "C" fn($($type),*) $(-> $result)? = $name;)* };
    };
}
pub(crate) use {functions, structs};

/// A struct as this crate has it: its members with their types and offsets.
pub struct Layout {
    pub name: &'static str,
    pub size: usize,
    pub members: Vec<(&'static str, &'static str, usize)>,
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../include")
}

/// The type in C's words.
fn in_c(rust: &str) -> String {
    let rust = rust.trim();
    if let Some(target) = rust.strip_prefix("*const ").or_else(|| rust.strip_prefix("* const ")) {
        return format!("{} const *", in_c(target));
    }
    if let Some(target) = rust.strip_prefix("*mut ").or_else(|| rust.strip_prefix("* mut ")) {
        return format!("{} *", in_c(target));
    }
    match rust {
        "" => "void",
        "c_void" => "void",
        "c_char" => "char",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i32" => "int32_t",
        "f64" => "double",
        "usize" => "size_t",
        "isize" => "intptr_t",
        "Option<lb_select>" => "lb_select",
        "Option<lb_wake>" => "t_wake",
        "Option<lb_deliver>" => "t_deliver",
        name if name.starts_with("lb_") => name,
        other => panic!("no C is known for {}", other),
    }
    .to_owned()
}

/// A program that compiles when all is as the header has it.
fn program() -> String {
    let mut c = String::from(
        "#include <lb.h>\n\
         typedef void (*t_wake)(void *);\n\
         typedef void (*t_deliver)(void *, const lb_event *, size_t);\n\
         typedef size_t (*t_select)(void *, const lb_candidate *, size_t);\n\
         static t_select const check_select = (lb_select)0;\n",
    );
    for it in layouts() {
        c += &format!("_Static_assert(sizeof({}) == {}, \"size of {}\");\n", it.name, it.size, it.name);
        for (member, type_, offset) in it.members {
            let member = member.trim_start_matches("r#");
            c += &format!(
                "_Static_assert(offsetof({}, {}) == {}, \"{}.{}\");\n",
                it.name, member, offset, it.name, member
            );
            let array = type_.split_once(';').map(|(_, count)| count.trim_end_matches(']').trim());
            match array {
                Some(count) => {
                    c += &format!(
                        "static char (*a_{}_{m}(void))[{}] {{ return &(({} *)0)->{m}; }}\n",
                        it.name,
                        count,
                        it.name,
                        m = member
                    )
                }
                None => {
                    c += &format!(
                        "static {} *m_{}_{m}(void) {{ return &(({} *)0)->{m}; }}\n",
                        in_c(type_),
                        it.name,
                        it.name,
                        m = member
                    )
                }
            }
        }
    }
    for (name, arguments, result) in SIGNATURES {
        let arguments: Vec<String> = arguments.iter().map(|a| in_c(a)).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        c += &format!("static {} (*const f_{})({}) = {};\n", in_c(result), name, arguments, name);
    }
    c
}

/// The compiler's words; empty when it has nothing to say.
fn compile(program: &str, name: &str) -> String {
    let file = std::env::temp_dir().join(format!("lb-sys-{}-{}.c", std::process::id(), name));
    std::fs::write(&file, program).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let done = Command::new(compiler)
        .args(["-std=c11", "-fsyntax-only", "-pedantic-errors", "-Wall", "-Werror", "-Wno-unused-function"])
        .args(["-Wno-unused-variable", "-Wno-unused-const-variable", "-I"])
        .arg(include())
        .arg(&file)
        .output()
        .expect("a C compiler");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(done.status.success(), done.stderr.is_empty());
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn header_agrees() {
    assert_eq!(compile(&program(), "right"), "");
}

/// The check itself: a wrong type, offset and signature are seen.
#[test]
fn differences_are_seen() {
    for (number, (right, wrong)) in [
        ("static uint32_t *m_lb_event_code", "static int32_t *m_lb_event_code"),
        ("offsetof(lb_event, size) == 32", "offsetof(lb_event, size) == 40"),
        ("f_lb_call_credit)(lb_engine *, lb_call, uint64_t)", "f_lb_call_credit)(lb_engine *, lb_call, uint32_t)"),
        ("f_lb_queue_close)(lb_queue *)", "f_lb_queue_close)(lb_engine *)"),
        ("sizeof(lb_ask) ==", "sizeof(lb_ask) == 1 +"),
        ("(*a_lb_error_where(void))[120]", "(*a_lb_error_where(void))[121]"),
    ]
    .into_iter()
    .enumerate()
    {
        let program = program();
        assert!(program.contains(right), "{}", right);
        assert_ne!(compile(&program.replace(right, wrong), &number.to_string()), "", "{}", wrong);
    }
}

/// The names between `before` and `after`.
fn names<'a>(header: &'a str, before: &str, after: char) -> Vec<&'a str> {
    let lines = header.lines().filter(|line| line.starts_with(before));
    lines.filter_map(|line| line[before.len()..].split(after).next()).collect()
}

#[test]
fn nothing_is_missing() {
    let header = std::fs::read_to_string(include().join("lb.h")).unwrap();
    let functions = names(&header, "LB_API ", '(').into_iter().map(|it| it.rsplit([' ', '*']).next().unwrap());
    let mut in_header: Vec<&str> = functions.collect();
    let mut here: Vec<&str> = SIGNATURES.iter().map(|it| it.0).collect();
    in_header.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, in_header);
    let structs = names(&header, "typedef struct ", '{').into_iter().map(str::trim).filter(|it| !it.contains(' '));
    let mut in_header: Vec<&str> = structs.collect();
    let mut here: Vec<&str> = layouts().iter().map(|it| it.name).collect();
    in_header.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, in_header);
    // Members: as many declarations as the header has in that struct.
    for it in layouts() {
        let body = header
            .split(&format!("typedef struct {} {{", it.name))
            .nth(1)
            .unwrap()
            .split(&format!("}} {};", it.name))
            .next()
            .unwrap();
        let mut text = String::new();
        for part in
            body.split("/*").enumerate().map(|(i, part)| if i == 0 { part } else { part.split("*/").nth(1).unwrap() })
        {
            text += part;
        }
        assert_eq!(text.matches(';').count(), it.members.len(), "{}", it.name);
    }
}
