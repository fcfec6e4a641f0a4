package sdk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"lb.example/lb"
)

const callersKey = "sk-of-the-caller"

func openaiOver(transport http.RoundTripper, more ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithHTTPClient(&http.Client{Transport: transport}),
		option.WithAPIKey(callersKey), option.WithMaxRetries(0)}, more...)...)
}

func openaiAsk() openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "m",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say something.")}}
}

func openaiStream(t *testing.T, client openai.Client) string {
	t.Helper()
	stream := client.Chat.Completions.NewStreaming(context.Background(), openaiAsk())
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	return all.Choices[0].Message.Content
}

func openaiPlain(t *testing.T, client openai.Client) string {
	t.Helper()
	answer, err := client.Chat.Completions.New(context.Background(), openaiAsk())
	if err != nil {
		t.Fatal(err)
	}
	return answer.Choices[0].Message.Content
}

func TestOpenAIPlainAndStreamed(t *testing.T) {
	m := startMock(t, `{"name":"east"}`)
	client := openaiOver(tiers(t, "openai", m.url))
	plain, streamed := openaiPlain(t, client), openaiStream(t, client)
	if plain != streamed || !strings.HasPrefix(plain, "east:") {
		t.Error(plain, streamed)
	}
	vectors, err := client.Embeddings.New(context.Background(), openai.EmbeddingNewParams{Model: "m",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}})
	if err != nil || len(vectors.Data) != 2 || len(vectors.Data[0].Embedding) == 0 {
		t.Error(vectors, err)
	}
	for _, call := range m.journal(t).Calls {
		if call.Headers["authorization"] != "Bearer sk-of-the-upstream" {
			t.Error(call.Headers)
		}
	}
}

const openaiTool = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls",
"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather",
"arguments":"{\"city\":\"Oslo\"}"}}]}}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}`

var openaiToolEvents = []string{
	`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}`,
	`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}`,
	`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]}}]}`,
	`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
	`data: [DONE]`,
}

func TestOpenAITools(t *testing.T) {
	up := script(t, openaiTool, openaiToolEvents)
	client := openaiOver(tiers(t, "openai", up.URL))
	ask := openaiAsk()
	ask.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name:       "weather",
		Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
	})}
	check := func(message openai.ChatCompletionMessage) {
		t.Helper()
		if len(message.ToolCalls) != 1 || message.ToolCalls[0].ID != "call_1" || message.ToolCalls[0].Function.Name != "weather" ||
			message.ToolCalls[0].Function.Arguments != `{"city":"Oslo"}` {
			t.Errorf("%+v", message.ToolCalls)
		}
	}
	answer, err := client.Chat.Completions.New(context.Background(), ask)
	if err != nil {
		t.Fatal(err)
	}
	check(answer.Choices[0].Message)
	if body, _ := up.last(); !strings.Contains(body, `"name":"weather"`) {
		t.Error(body)
	}
	stream := client.Chat.Completions.NewStreaming(context.Background(), ask)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	check(all.Choices[0].Message)
}

func TestOpenAIAbort(t *testing.T) {
	m := startMock(t, `{"tokens":100000,"event_gap_ms":2,"per_call":[{"nth":3,"stall":{"before_head":true}}]}`)
	client := openaiOver(tiers(t, "openai", m.url))
	begin := func(ctx context.Context) *stream {
		s := client.Chat.Completions.NewStreaming(ctx, openaiAsk())
		for i := 0; i < 3; i++ {
			if !s.Next() {
				t.Fatal(s.Err())
			}
		}
		return &stream{s.Next, s.Err, s.Close}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := begin(ctx)
	at := monotonic()
	cancel()
	m.aborted(t, 1, at)
	for s.next() {
	}
	if !errors.Is(s.err(), context.Canceled) {
		t.Error(s.err())
	}
	s = begin(context.Background()) // Breaks out of the loop.
	at = monotonic()
	s.close()
	m.aborted(t, 2, at)
	ctx, cancel = context.WithCancel(context.Background()) // Before the head.
	time.AfterFunc(100*time.Millisecond, func() { at = monotonic(); cancel() })
	if _, err := client.Chat.Completions.New(ctx, openaiAsk()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	m.aborted(t, 3, at)
}

type stream struct {
	next  func() bool
	err   func() error
	close func() error
}

// One of two upstreams dies in the middle; the callers see nothing of it.
func TestOpenAIFailover(t *testing.T) {
	first, second := startMock(t, `{"name":"first","latency_ms":2}`), startMock(t, `{"name":"second","latency_ms":2}`)
	client := openaiOver(tiers(t, "openai", first.url, second.url))
	var group sync.WaitGroup
	var mu sync.Mutex
	served := map[string]int{}
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			for i := 0; i < 40; i++ {
				if worker == 0 && i == 20 {
					first.kill()
				}
				// Streams that had begun when it died break; that is no failover. So these are plain.
				answer, err := client.Chat.Completions.New(context.Background(), openaiAsk())
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				served[strings.SplitN(answer.Choices[0].Message.Content, ":", 2)[0]]++
				mu.Unlock()
			}
		}(worker)
	}
	group.Wait()
	if served["first"] == 0 || served["second"] == 0 || served["first"]+served["second"] != 320 {
		t.Error(served)
	}
	if text := openaiStream(t, client); !strings.HasPrefix(text, "second:") {
		t.Error(text)
	}
}

func TestOpenAIErrors(t *testing.T) {
	m := startMock(t, `{"error":{"status":400,"code":"context_length_exceeded","message":"too long (mock)"}}`)
	client := openaiOver(tiers(t, "openai", m.url))
	_, err := client.Chat.Completions.New(context.Background(), openaiAsk())
	var told *openai.Error
	if !errors.As(err, &told) || told.StatusCode != 400 || told.Code != "context_length_exceeded" {
		t.Error(err)
	}
	gone := openaiOver(tiers(t, "openai", "http://127.0.0.1:1"))
	_, err = gone.Chat.Completions.New(context.Background(), openaiAsk())
	var failed *lb.Error
	if !errors.As(err, &failed) || failed.Status != lb.StatusConnect {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	silent := startMock(t, `{"stall":{"before_head":true}}`)
	slow := openaiOver(tiers(t, "openai", silent.url))
	if _, err = slow.Chat.Completions.New(ctx, openaiAsk()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// For SDKs that take nothing but a base URL: the gateway in the same process.
func TestOpenAIThroughTheGateway(t *testing.T) {
	m := startMock(t, `{"name":"east"}`)
	e, err := lb.Open(lb.Config{Listen: []lb.Listen{{Address: "127.0.0.1:0"}},
		Deployments: []lb.Deployment{{Name: "east", URL: m.url + "/v1", Models: map[string]lb.Model{"m": {}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	address, err := e.Address("")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := openaiOver(transport, option.WithBaseURL("http://"+address+"/v1"))
	if plain, streamed := openaiPlain(t, client), openaiStream(t, client); plain != streamed || !strings.HasPrefix(plain, "east:") {
		t.Error(plain, streamed)
	}
}
