import ChatTemplates
import JSONText
import Testing

@Suite("Chat templates of folders")
struct ChatTemplateFolderTests {
    /// What transformers 5.24 takes for the files, the name, and whether there are tools.
    @Test(
        "are found where transformers finds them",
        arguments: [
            (["tokenizer_config.json": #"{"chat_template": "cfg"}"#], nil, false, "cfg"),
            (["tokenizer_config.json": #"{"chat_template": ""}"#], nil, false, ""),
            (["tokenizer_config.json": #"{"chat_template": {"default": "D"}}"#], nil, false, "D"),
            (
                [
                    "tokenizer_config.json":
                        #"{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]}"#
                ], nil, true, "U"
            ),
            (
                [
                    "tokenizer_config.json":
                        #"{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]}"#
                ], nil, false, "D"
            ),
            (["tokenizer_config.json": #"{"chat_template": [{"name": "a", "template": "A"}]}"#], "a", false, "A"),
            (["tokenizer_config.json": #"{"chat_template": "cfg"}"#, "chat_template.jinja": "J"], nil, false, "J"),
            (
                ["additional_chat_templates/default.jinja": "AD", "chat_template.jinja": "J"], nil, false, "AD"
            ),
            (
                ["additional_chat_templates/tool_use.jinja": "TU", "chat_template.jinja": "J"], nil, true, "TU"
            ),
            (["additional_chat_templates/rag.jinja": "R", "chat_template.jinja": "J"], "rag", true, "R"),
            (["chat_template.json": #"{"chat_template": "CJ"}"#], nil, false, "CJ"),
            (
                [
                    "chat_template.json": #"{"chat_template": "CJ"}"#,
                    "tokenizer_config.json": #"{"chat_template": "cfg"}"#,
                ],
                nil, false, "cfg"
            ),
        ] as [([String: String], String?, Bool, String)])
    func found(_ files: [String: String], _ name: String?, _ hasTools: Bool, _ expected: String) throws {
        let folder = try TemporaryFolder(files)
        let template = try ChatTemplateFolder(folder.path).template(named: name, hasTools: hasTools)
        #expect(try template.render([]).text == expected)
    }

    @Test("that aren't there are named, with those that are")
    func missing() throws {
        let none = try TemporaryFolder(["tokenizer_config.json": #"{"chat_template": null}"#])
        #expect(
            none.problem { _ = try ChatTemplateFolder(none.path).template() }
                == "FOLDER: error: the model has no chat template: looked for chat_template.jinja, additional_chat_templates, "
                + "chat_template.json, and chat_template in tokenizer_config.json")
        let two = try TemporaryFolder([
            "additional_chat_templates/rag.jinja": "R", "additional_chat_templates/a.jinja": "A",
        ])
        #expect(try ChatTemplateFolder(two.path).names == ["a", "rag"])
        #expect(
            two.problem { _ = try ChatTemplateFolder(two.path).template() }
                == "FOLDER: error: the model has several chat templates and none that is the default; there is 'a', 'rag'"
        )
        #expect(
            two.problem { _ = try ChatTemplateFolder(two.path).template(named: "b") }
                == "FOLDER: error: the model has no chat template 'b'; there is 'a', 'rag'")
    }

    @Test("are wrong at a place that can be found")
    func wrong() throws {
        let files = [
            "additional_chat_templates/a.jinja": "\n{{ x|y }}",
            "tokenizer_config.json": #"{"chat_template": "{% if %}"}"#,
        ]
        let folder = try TemporaryFolder(files)
        #expect(
            folder.problem { _ = try ChatTemplateFolder(folder.path).template(named: "a") }
                == "additional_chat_templates/a.jinja:2:6: error: the filter 'y' isn't known")
        let config = try TemporaryFolder(["tokenizer_config.json": #"{"chat_template": "{% if %}"}"#])
        #expect(
            config.problem { _ = try ChatTemplateFolder(config.path).template() }
                == "tokenizer_config.json (chat_template):1:7: error: expected an expression, found '%}'")
        let kind = try TemporaryFolder(["tokenizer_config.json": #"{"chat_template": 5}"#])
        #expect(
            kind.problem { _ = try ChatTemplateFolder(kind.path) }
                == "tokenizer_config.json:1:19: error: chat_template: expected a string, got 5")
        let list = try TemporaryFolder(["tokenizer_config.json": #"{"chat_template": [{"name": "a"}]}"#])
        #expect(
            list.problem { _ = try ChatTemplateFolder(list.path) }
                == "tokenizer_config.json:1:20: error: chat_template[0].template: missing")
    }

    /// The texts are what transformers 5.24 gives.
    @Test("know the special tokens by the names that transformers gives them")
    func tokens() throws {
        func tokens(_ config: String, _ map: String? = nil) throws -> [JSONValue.Member] {
            var files = ["tokenizer_config.json": config]
            files["special_tokens_map.json"] = map
            let folder = try TemporaryFolder(files)
            return try withExtendedLifetime(folder) { try ChatTemplateFolder(folder.path).specialTokens }
        }
        let config = """
            {"add_bos_token": true, "eos_token": "</e>", "bos_token": {"__type": "AddedToken", "content": "<b>"}, \
            "pad_token": null, "additional_special_tokens": ["<p>"], "image_token": "<i>", \
            "extra_special_tokens": {"x_token": "<x>", "foo": "<foo>"}}
            """
        #expect(
            try tokens(config) == [
                .init("bos_token", "<b>"), .init("eos_token", "</e>"), .init("image_token", "<i>"),
                .init("x_token", "<x>"), .init("foo", "<foo>"),
            ])
        let map = #"{"bos_token": "<m>", "eos_token": {"content": "<me>", "lstrip": false}}"#
        #expect(try tokens(#"{"bos_token": "<c>"}"#, map) == [.init("bos_token", "<m>"), .init("eos_token", "<me>")])
        #expect(
            try tokens(#"{"bos_token": "<c>", "added_tokens_decoder": {}}"#, map) == [.init("bos_token", "<c>")])
    }
}
