// Package lb spreads calls to LLM APIs over many deployments, keys and providers, and keeps the failures of any of them
// away from the caller.
//
// An [Engine] is an [http.RoundTripper]. Give it to the SDK that you already use:
//
//	engine, err := lb.Open(lb.Config{Deployments: []lb.Deployment{
//		{Name: "east", URL: "https://east.example/openai/v1", Key: &lb.Secret{Env: "EAST_KEY"}},
//		{Name: "west", URL: "https://west.example/openai/v1", Key: &lb.Secret{Env: "WEST_KEY"}},
//	}}, &lb.Options{Secrets: true})
//	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: engine}), option.WithMaxRetries(0))
//
// Where a request goes, what its limits are, and what happens when an upstream fails, says the configuration: a [Config], or
// the same document as YAML or JSON in a [Text]. Set the SDK's own retries to 0: lb retries, elsewhere, and knows why.
//
// # Calls
//
// The host of a request's URL does not matter, its path does: "/v1/chat/completions" and the others that lb serves. The
// context of the request cancels the call in each of its phases, and the upstream's connection is closed at once; its
// deadline is told to the engine. A body of known length up to 64 KiB is handed over whole; others are streamed, as the
// upstream takes them. The body of a response is read from a window of the call (the route's window_bytes, or that of
// [CallOptions]): whoever does not read is not sent more, down to the TCP connection of the upstream. Close it, as always;
// one that is forgotten cancels its call when it is collected.
//
// Answers of upstreams are answers, whatever their status; fields "X-Lb-Served-By", "X-Lb-Attempts" and "X-Lb-Request-Id"
// say how they came about. A call that has none is an [Error], also inside the *url.Error of an [http.Client]:
//
//	var failed *lb.Error
//	if errors.As(err, &failed) && failed.Status == lb.StatusLimited {
//		time.Sleep(failed.RetryAfter)
//	}
//
// A stream that breaks in the middle ends in an Error with StatusBroken, never in io.EOF.
//
// # Goroutines
//
// The engine runs on a thread of its own. One goroutine takes its events, in batches, by the network poller; no Go code runs on
// threads of C. All functions may be called from any goroutine.
//
// # Other doors
//
// A configuration with "listen" makes the engine a gateway as well: [Engine.Address] says where, for SDKs that take only a base
// URL. A [Balancer] decides and leaves the sending to you.
//
// # Linking
//
// By default the package asks pkg-config for lb. With the build tag lb_static it links liblb.a from
// native/GOOS_GOARCH in its folder, or from where CGO_LDFLAGS says, with the header where CGO_CFLAGS says.
package lb
