package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
)

// Two calls in each answer, behind a text, until a result has been sent back.
const translatedMock = `{"tokens":2,"tool_calls":2,"interleave":true}`

var citySchema = map[string]any{"city": map[string]any{"type": "string"}}

// isCity says whether these are the arguments that the mock makes of the schema.
func isCity(arguments string) bool {
	var made struct{ City string }
	return json.Unmarshal([]byte(arguments), &made) == nil && made.City == "mock city"
}

func TestOpenAITranslated(t *testing.T) {
	for _, dialect := range []string{"anthropic", "gemini"} {
		t.Run(dialect, func(t *testing.T) {
			m := startMock(t, translatedMock)
			client := openaiOver(tiers(t, dialect, m.url))
			ask := openaiAsk()
			ask.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
				Name: "weather", Parameters: openai.FunctionParameters{"type": "object", "properties": citySchema}})}
			stream := client.Chat.Completions.NewStreaming(context.Background(), ask)
			defer stream.Close()
			var all openai.ChatCompletionAccumulator
			for stream.Next() {
				all.AddChunk(stream.Current())
			}
			if stream.Err() != nil {
				t.Fatal(stream.Err())
			}
			made := all.Choices[0].Message
			if made.Content != "mock: a" || len(made.ToolCalls) != 2 || all.Choices[0].FinishReason != "tool_calls" {
				t.Fatalf("%+v", made)
			}
			ask.Messages = append(ask.Messages, made.ToParam())
			for _, call := range made.ToolCalls {
				if call.Function.Name != "weather" || !isCity(call.Function.Arguments) {
					t.Errorf("%+v", call)
				}
				ask.Messages = append(ask.Messages, openai.ToolMessage("warm", call.ID))
			}
			answer, err := client.Chat.Completions.New(context.Background(), ask)
			if err != nil || answer.Choices[0].Message.Content != "mock: a" || answer.Choices[0].FinishReason != "stop" {
				t.Error(answer, err)
			}
		})
	}
}

func TestAnthropicTranslated(t *testing.T) {
	for _, dialect := range []string{"openai", "gemini"} {
		t.Run(dialect, func(t *testing.T) {
			m := startMock(t, translatedMock)
			client := anthropicOver(tiers(t, dialect, m.url))
			ask := anthropicAsk()
			ask.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "weather",
				InputSchema: anthropic.ToolInputSchemaParam{Properties: citySchema}}}}
			made := anthropicStreamed(t, client, ask)
			if len(made.Content) != 3 || made.Content[0].Text != "mock: a" || made.StopReason != "tool_use" {
				t.Fatalf("%+v", made)
			}
			var results []anthropic.ContentBlockParamUnion
			for _, block := range made.Content[1:] {
				if block.Name != "weather" || !isCity(string(block.Input)) {
					t.Errorf("%+v", block)
				}
				results = append(results, anthropic.NewToolResultBlock(block.ID, "warm", false))
			}
			ask.Messages = append(ask.Messages, made.ToParam(), anthropic.NewUserMessage(results...))
			answer, err := client.Messages.New(context.Background(), ask)
			if err != nil || answer.Content[0].Text != "mock: a" || answer.StopReason != "end_turn" {
				t.Error(answer, err)
			}
		})
	}
}

// An upstream's error comes as the caller's own.
func TestTranslatedErrors(t *testing.T) {
	m := startMock(t, `{"error":{"status":400,"message":"no (mock)"}}`)
	for _, dialect := range []string{"openai", "gemini"} {
		client := anthropicOver(tiers(t, dialect, m.url))
		_, err := client.Messages.New(context.Background(), anthropicAsk())
		var told *anthropic.Error
		if !errors.As(err, &told) || told.StatusCode != 400 || !strings.Contains(told.RawJSON(), `"type":"invalid_request_error"`) ||
			!strings.Contains(told.RawJSON(), "no (mock)") {
			t.Error(err)
		}
	}
}
