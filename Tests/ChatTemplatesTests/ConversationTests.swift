import ChatTemplates
import JSONText
import Testing

@Suite("Conversations")
struct ConversationTests {
    private func read(_ text: String) throws -> Conversation {
        try Conversation(try JSONNode.parse(text, file: "c.jsonl"))
    }

    private func problem(_ text: String) -> String? {
        do { _ = try read(text) } catch { return "\(error)" }
        return nil
    }

    @Test("of OpenAI's form are read with all that their messages have")
    func openAI() throws {
        let conversation = try read(
            """
            {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, \
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}, \
            {"role": "tool", "content": "", "tool_call_id": "1", "name": "f"}, \
            {"role": "assistant", "content": "Done.", "reasoning_content": "Hm."}], "tools": [{"name": "f"}], "id": 7}
            """)
        #expect(
            conversation.messages == [
                ["role": "system", "content": ""], ["role": "user", "content": [["type": "text", "text": "Hi"]]],
                [
                    "role": "assistant", "content": nil,
                    "tool_calls": [["id": "1", "function": ["name": "f", "arguments": "{}"]]],
                ], ["role": "tool", "content": "", "tool_call_id": "1", "name": "f"],
                ["role": "assistant", "content": "Done.", "reasoning_content": "Hm."],
            ])
        #expect(conversation.tools == [["name": "f"]])
    }

    @Test("of ShareGPT's form get OpenAI's names")
    func shareGPT() throws {
        let conversation = try read(
            #"""
            {"system": "Sys", "conversations": [{"from": "human", "value": "w?"}, \#
            {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"a\": 1}}"}, \#
            {"from": "observation", "value": "3"}, {"from": "gpt", "value": "three", "weight": 1}], \#
            "tools": "[{\"name\": \"f\"}]"}
            """#)
        #expect(
            conversation.messages == [
                ["role": "system", "content": "Sys"], ["role": "user", "content": "w?"],
                [
                    "role": "assistant", "content": "",
                    "tool_calls": [["type": "function", "function": ["name": "f", "arguments": ["a": 1]]]],
                ], ["role": "tool", "content": "3"], ["role": "assistant", "content": "three", "weight": 1],
            ])
        #expect(conversation.tools == [["name": "f"]])
        #expect(try read(#"{"conversations": [{"from": "assistant", "value": "x"}], "tools": ""}"#).tools == nil)
        #expect(
            try read(#"{"messages": [{"from": "user", "value": "x"}, {"from": "gpt", "value": "y"}]}"#).messages
                == [["role": "user", "content": "x"], ["role": "assistant", "content": "y"]])
    }

    @Test(
        "that are none are named with their place",
        arguments: [
            ("[]", "1:1: error: expected an object, got an array"),
            (#"{"text": "x", "id": 1}"#, "1:1: error: no field 'messages' or 'conversations'; there is text, id"),
            ("{}", "1:1: error: no field 'messages' or 'conversations'; there is none"),
            (#"{"messages": "x"}"#, #"1:14: error: messages: expected an array, got "x""#),
            (#"{"messages": []}"#, "1:14: error: messages: there are no messages"),
            (
                #"{"messages": [{"role": "assistant", "content": "x"}], "conversations": []}"#,
                "1:72: error: conversations: stands beside 'messages'; a record has one of them"
            ),
            (
                #"{"messages": [{"role": "user", "content": "x"}]}"#,
                "1:14: error: messages: there is no message of an assistant, from which alone a model learns"
            ),
            (
                #"{"messages": [{"role": "system", "content": "x"}, {"role": "system", "content": "y"}]}"#,
                "1:51: error: messages[1]: a second system message; a conversation has one at most"
            ),
            (
                #"{"messages": [{"role": "bot", "content": "x"}]}"#,
                #"1:24: error: messages[0].role: the role "bot" isn't known; known are system, developer, user, assistant, "#
                    + "tool, function"
            ),
            (
                #"{"conversations": [{"from": "bot", "value": "x"}]}"#,
                #"1:29: error: conversations[0].from: the role "bot" isn't known; known are system, developer, user, "#
                    + "assistant, tool, function, bard, bing, chatgpt, function_call, gpt, human, observation"
            ),
            (#"{"messages": [{"content": "x"}]}"#, "1:15: error: messages[0].role: missing"),
            (#"{"messages": [5]}"#, "1:15: error: messages[0]: expected an object, got 5"),
            (
                #"{"messages": [{"role": "assistant", "content": ""}]}"#,
                "1:48: error: messages[0].content: the content is empty"
            ),
            (#"{"messages": [{"role": "assistant"}]}"#, "1:15: error: messages[0].content: missing"),
            (
                #"{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}"#,
                "1:48: error: messages[0].content: expected a value, got null"
            ),
            (
                #"{"messages": [{"role": "user", "content": [{"type": "image"}]}]}"#,
                "1:53: error: messages[0].content[0].type: the part of type 'image' isn't supported; only text is"
            ),
            (
                #"{"messages": [{"role": "user", "content": 5}]}"#,
                "1:43: error: messages[0].content: expected a string or an array of parts, got 5"
            ),
            (
                #"{"conversations": [{"from": "function_call", "value": "call f"}]}"#,
                "1:55: error: conversations[0].value: the text is not JSON: expected a value, found 'c'"
            ),
            (
                #"{"messages": [{"role": "assistant", "content": "x"}], "tools": {}}"#,
                "1:64: error: tools: expected an array, got an object"
            ),
        ])
    func problems(_ text: String, _ expected: String) { #expect(problem(text) == "c.jsonl:" + expected) }
}
