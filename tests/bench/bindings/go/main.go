// Program go measures lb beside net/http: the same calls to the same upstream, interleaved in one run. It prints a line of JSON a
// figure: {"lang":"go","case":"plain","what":"cpu_us","value":31.2}. Cases end in " lb" or " net/http".
//
//	go run . -lb PATH [-rounds N] [-requests N]
//
// CPU is what getrusage says of this process: of lb that is the engine's thread too. The upstream is `lb mock`, a process of
// its own.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lb.example/lb"
)

const concurrency = 32

var (
	program  = flag.String("lb", "lb", "the program")
	rounds   = flag.Int("rounds", 7, "of each case")
	requests = flag.Int("requests", 6400, "of a round of plain calls")
	streams  = flag.Int("streams", 320, "of a round of streamed calls")
	events   = flag.Int("events", 1000, "of a stream")
	memory   = flag.Int("memory", 1000, "streams that are held open at once")
	only     = flag.String("case", "", "only that one")
	alone    = flag.String("side", "", "only that one: for profiles")
)

func main() {
	flag.Parse()
	mock := startMock()
	defer mock.stop()
	var sides []side
	for _, s := range []side{direct(mock.url), through(mock.url)} {
		if *alone == "" || *alone == s.name {
			sides = append(sides, s)
		}
	}
	for _, c := range []workload{
		{name: "plain", model: "plain", count: *requests},
		{name: "body 2 KiB", model: "large", count: *requests},
		{name: "stream", model: "stream", stream: true, count: *streams, events: *events},
		{name: "stream of 20", model: "short", stream: true, count: *requests / 4, events: 20},
		{name: "stream with gaps", model: "paced", stream: true, count: *streams / 2, events: 200},
	} {
		if *only == "" || *only == c.name {
			c.measure(sides)
		}
	}
	if *only == "" || *only == "memory" {
		for _, s := range sides {
			hold(s)
		}
	}
}

// A side sends a request somewhere.
type side struct {
	name  string
	url   string
	trip  http.RoundTripper
	close func()
}

func direct(url string) side {
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * concurrency, MaxConnsPerHost: 0, DisableCompression: true}
	return side{"net/http", url, transport, transport.CloseIdleConnections}
}

func through(url string) side {
	engine, err := lb.Open(lb.Config{Deployments: []lb.Deployment{{Name: "mock", URL: url + "/v1", ConnectionsMax: 4096}}}, nil)
	check(err)
	return side{"lb", "http://lb", engine, func() { engine.Close(context.Background()) }}
}

type workload struct {
	name, model   string
	stream        bool
	count, events int
}

func (w workload) request(s side) *http.Request {
	body := fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Say something."}]}`, w.model, w.stream)
	request, err := http.NewRequest("POST", s.url+"/v1/chat/completions", strings.NewReader(body))
	check(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer sk-of-the-caller")
	request.Header.Set("User-Agent", "bench/1")
	return request
}

type figures struct{ rate, cpu, crossing, p50, p99 []float64 }

func (w workload) measure(sides []side) {
	all := make([]figures, len(sides))
	for round := -1; round < *rounds; round++ {
		for i, s := range sides {
			got := w.round(s)
			if round < 0 {
				continue // Connections and caches are warm behind it.
			}
			f := &all[i]
			f.rate, f.cpu = append(f.rate, got.rate[0]), append(f.cpu, got.cpu[0])
			f.crossing = append(f.crossing, got.crossing[0])
			f.p50, f.p99 = append(f.p50, got.p50[0]), append(f.p99, got.p99[0])
		}
	}
	for i, s := range sides {
		name := w.name + " " + s.name
		print(name, "requests_per_s", median(all[i].rate))
		print(name, "cpu_us", median(all[i].cpu))
		print(name, "p50_us", median(all[i].p50))
		print(name, "p99_us", median(all[i].p99))
		if w.events > 1 {
			print(name, "cpu_ns_per_event", median(all[i].cpu)*1000/float64(w.events))
			if s.name == "lb" {
				print(name, "crossing_ns_per_event", median(all[i].crossing)*1000/float64(w.events))
			}
		}
	}
	if len(sides) == 2 {
		ratios := make([]float64, *rounds)
		for i := range ratios {
			ratios[i] = all[1].cpu[i] / all[0].cpu[i]
		}
		print(w.name+" lb : net/http", "cpu_ratio", median(ratios))
	}
}

func (w workload) round(s side) figures {
	took := make([]float64, w.count)
	var next atomic.Int64
	var group sync.WaitGroup
	runtime.GC()
	before, engine, start := cpu(), engineCPU(), time.Now()
	for i := 0; i < concurrency; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			buffer := make([]byte, 32<<10)
			for {
				at := int(next.Add(1)) - 1
				if at >= w.count {
					return
				}
				began := time.Now()
				response, err := s.trip.RoundTrip(w.request(s))
				check(err)
				if response.StatusCode != 200 {
					check(fmt.Errorf("status %d", response.StatusCode))
				}
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{response.Body}, buffer)
				check(err)
				response.Body.Close()
				took[at] = float64(time.Since(began).Nanoseconds()) / 1000
			}
		}()
	}
	group.Wait()
	elapsed, used := time.Since(start), cpu()-before
	crossing := used - (engineCPU() - engine)
	perRequest := func(d time.Duration) []float64 { return []float64{float64(d.Nanoseconds()) / 1000 / float64(w.count)} }
	sort.Float64s(took)
	return figures{
		[]float64{float64(w.count) / elapsed.Seconds()}, perRequest(used), perRequest(crossing),
		[]float64{took[w.count/2]}, []float64{took[w.count*99/100]},
	}
}

// hold prints what an open stream costs, of all that the process has.
func hold(s side) {
	runtime.GC()
	debug.FreeOSMemory()
	before := resident()
	w := workload{model: "held", stream: true}
	var open []*http.Response
	for i := 0; i < *memory; i++ {
		response, err := s.trip.RoundTrip(w.request(s))
		check(err)
		_, err = response.Body.Read(make([]byte, 1))
		check(err)
		open = append(open, response)
	}
	runtime.GC()
	debug.FreeOSMemory()
	print("memory "+s.name, "kib_per_stream", float64(resident()-before)/1024/float64(*memory))
	for _, response := range open {
		response.Body.Close()
	}
	s.close()
	time.Sleep(200 * time.Millisecond)
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	check(err)
	var size, pages int64
	fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize())
}

func cpu() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// engineCPU is what the engine's thread has used: what is left of the process's is the binding and the program.
func engineCPU() (used time.Duration) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		folder := "/proc/self/task/" + task.Name()
		name, _ := os.ReadFile(folder + "/comm")
		if strings.HasPrefix(string(name), "lb-engine") {
			text, _ := os.ReadFile(folder + "/schedstat")
			var ns int64
			fmt.Sscan(string(text), &ns)
			used += time.Duration(ns)
		}
	}
	return used
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := append([]float64(nil), values...)
	sort.Float64s(sorted)
	return sorted[len(sorted)/2]
}

func print(name, what string, value float64) {
	line, _ := json.Marshal(struct {
		Lang  string  `json:"lang"`
		Case  string  `json:"case"`
		What  string  `json:"what"`
		Value float64 `json:"value"`
	}{"go", name, what, value})
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type mock struct {
	process *exec.Cmd
	url     string
}

func startMock() mock {
	options, _ := json.Marshal(map[string]any{"tokens": 16, "journal_calls": 0, "per_model": map[string]any{
		"large":  map[string]any{"body_bytes": 2048},
		"stream": map[string]any{"tokens": *events},
		"short":  map[string]any{"tokens": 20},
		"paced":  map[string]any{"tokens": 200, "event_gap_ms": 1},
		"held":   map[string]any{"tokens": 100, "stall": map[string]any{"after_events": 3}},
	}})
	command := exec.Command(*program, "mock", "--options", string(options))
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	check(err)
	check(command.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	check(err)
	return mock{command, regexp.MustCompile(`http://[0-9.:]+`).FindString(line)}
}

func (m mock) stop() {
	m.process.Process.Kill()
	m.process.Wait()
}
