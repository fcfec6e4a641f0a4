package sdk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"lb.example/lb"
)

// needAnthropic skips where the library that was linked does not speak that dialect yet.
func needAnthropic(t *testing.T) {
	t.Helper()
	if !strings.Contains(lb.Schema(), `"anthropic"`) {
		t.Skip("this lb has no dialect anthropic")
	}
}

func anthropicOver(transport http.RoundTripper) anthropic.Client {
	return anthropic.NewClient(option.WithHTTPClient(&http.Client{Transport: transport}), option.WithAPIKey(callersKey),
		option.WithMaxRetries(0))
}

func anthropicAsk() anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: "m", MaxTokens: 100,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Say something."))}}
}

const anthropicPlain = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello there."}],
"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":4}}`

var anthropicEvents = []string{
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}",
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
	"event: ping\ndata: {\"type\":\"ping\"}",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello \"}}",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"there.\"}}",
	"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}",
	"event: message_stop\ndata: {\"type\":\"message_stop\"}",
}

const anthropicTool = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"toolu_1","name":"weather",
"input":{"city":"Oslo"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":4}}`

var anthropicToolEvents = []string{
	anthropicEvents[0],
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"weather\",\"input\":{}}}",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":\"}}",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\" \\\"Oslo\\\"}\"}}",
	anthropicEvents[5],
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}",
	anthropicEvents[7],
}

func anthropicStreamed(t *testing.T, client anthropic.Client, ask anthropic.MessageNewParams) (message anthropic.Message) {
	t.Helper()
	stream := client.Messages.NewStreaming(context.Background(), ask)
	defer stream.Close()
	for stream.Next() {
		if err := message.Accumulate(stream.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	return message
}

func TestAnthropicPlainAndStreamed(t *testing.T) {
	needAnthropic(t)
	up := script(t, anthropicPlain, anthropicEvents)
	client := anthropicOver(tiers(t, "anthropic", up.URL))
	plain, err := client.Messages.New(context.Background(), anthropicAsk())
	if err != nil {
		t.Fatal(err)
	}
	streamed := anthropicStreamed(t, client, anthropicAsk())
	for _, message := range []anthropic.Message{*plain, streamed} {
		if message.Content[0].Text != "Hello there." || message.StopReason != "end_turn" || message.Usage.OutputTokens != 4 {
			t.Errorf("%+v", message)
		}
	}
	if _, head := up.last(); head.Get("X-Api-Key") != "sk-of-the-upstream" || head.Get("Anthropic-Version") == "" {
		t.Error(head)
	}
}

func TestAnthropicTools(t *testing.T) {
	needAnthropic(t)
	up := script(t, anthropicTool, anthropicToolEvents)
	client := anthropicOver(tiers(t, "anthropic", up.URL))
	ask := anthropicAsk()
	ask.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "weather",
		InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]any{"type": "string"}}}}}}
	plain, err := client.Messages.New(context.Background(), ask)
	if err != nil {
		t.Fatal(err)
	}
	streamed := anthropicStreamed(t, client, ask)
	for _, message := range []anthropic.Message{*plain, streamed} {
		use := message.Content[0]
		if use.Type != "tool_use" || use.Name != "weather" || !strings.Contains(string(use.Input), `"Oslo"`) {
			t.Errorf("%+v", use)
		}
	}
	if body, _ := up.last(); !strings.Contains(body, `"name":"weather"`) {
		t.Error(body)
	}
}

func TestAnthropicAbort(t *testing.T) {
	needAnthropic(t)
	gone := make(chan struct{}, 1)
	up := hanging(t, anthropicEvents[:5], gone)
	client := anthropicOver(tiers(t, "anthropic", up.URL))
	ctx, cancel := context.WithCancel(context.Background())
	stream := client.Messages.NewStreaming(ctx, anthropicAsk())
	defer stream.Close()
	for i := 0; i < 4; i++ {
		if !stream.Next() {
			t.Fatal(stream.Err())
		}
	}
	cancel()
	eventually(t, func() bool { return len(gone) == 1 })
	if stream.Next(); !errors.Is(stream.Err(), context.Canceled) {
		t.Error(stream.Err())
	}
}

// The first upstream is overloaded from its second call on.
func TestAnthropicFailover(t *testing.T) {
	needAnthropic(t)
	first, second := overloaded(t, 1), script(t, anthropicPlain, anthropicEvents)
	client := anthropicOver(tiers(t, "anthropic", first.URL, second.URL))
	for i := 0; i < 6; i++ {
		var text string
		if i%2 == 0 {
			message, err := client.Messages.New(context.Background(), anthropicAsk())
			if err != nil {
				t.Fatal(err)
			}
			text = message.Content[0].Text
		} else {
			text = anthropicStreamed(t, client, anthropicAsk()).Content[0].Text
		}
		if text != "Hello there." {
			t.Error(i, text)
		}
	}
	if body, _ := second.last(); body == "" {
		t.Error("the second was never asked")
	}
}
