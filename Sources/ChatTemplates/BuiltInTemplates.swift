public import Diagnostics

extension ChatTemplate {
    /// The names of the templates that need no file, each for a format that many models know.
    public static let builtInNames = ["chatml", "llama2", "llama3", "mistral", "zephyr"]

    /// The template of one of `builtInNames`, which marks by `generation` what an assistant says with its end.
    ///
    /// Nil for other names.
    public init?(builtIn name: String) throws(Problem) {
        guard let body = Self.bodies[name] else { return nil }
        try self.init(Self.beginning + body, file: "the template '\(name)'")
    }

    /// What all of them use: the text of a content, which may come in parts, and turns that a system's word goes before.
    private static let beginning = #"""
        {%- macro text(content) -%}
            {%- if content is string -%}
                {{- content -}}
            {%- else -%}
                {%- for part in content or [] -%}
                    {%- if part.type != 'text' -%}
                        {{- raise_exception("a message has a part of the type '" ~ part.type ~ "'; this template takes text only") -}}
                    {%- endif -%}
                    {{- part.text -}}
                {%- endfor -%}
            {%- endif -%}
        {%- endmacro -%}
        {%- set first = 1 if messages and messages[0].role == 'system' else 0 -%}
        {%- set system = text(messages[0].content) | trim if first else '' -%}
        {%- macro checkTurns() -%}
            {%- for message in messages[first:] -%}
                {%- if message.role != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}
                    {{- raise_exception("after at most one system's message, user and assistant have to take turns; message "
                        ~ (loop.index + first) ~ " is by '" ~ message.role ~ "'") -}}
                {%- endif -%}
            {%- endfor -%}
        {%- endmacro -%}

        """#

    private static let bodies = [
        "chatml": #"""
        {%- for message in messages -%}
            {{- '<|im_start|>' ~ message.role ~ '\n' -}}
            {%- if message.role == 'assistant' -%}
                {%- generation -%}{{- text(message.content) ~ '<|im_end|>' -}}{%- endgeneration -%}
            {%- else -%}
                {{- text(message.content) ~ '<|im_end|>' -}}
            {%- endif -%}
            {{- '\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
        """#,
        "llama3": #"""
        {{- bos_token -}}
        {%- for message in messages -%}
            {{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' -}}
            {%- if message.role == 'assistant' -%}
                {%- generation -%}{{- text(message.content) | trim ~ '<|eot_id|>' -}}{%- endgeneration -%}
            {%- else -%}
                {{- text(message.content) | trim ~ '<|eot_id|>' -}}
            {%- endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}
        """#,
        "llama2": #"""
        {{- checkTurns() -}}
        {%- for message in messages[first:] -%}
            {%- set content = text(message.content) | trim -%}
            {%- if message.role == 'user' -%}
                {%- if first and loop.first -%}
                    {%- set content = '<<SYS>>\n' ~ system ~ '\n<</SYS>>\n\n' ~ text(message.content) -%}
                {%- endif -%}
                {{- bos_token ~ '[INST] ' ~ content | trim ~ ' [/INST]' -}}
            {%- else -%}
                {%- generation -%}{{- ' ' ~ content ~ ' ' ~ eos_token -}}{%- endgeneration -%}
            {%- endif -%}
        {%- endfor -%}
        """#,
        "mistral": #"""
        {{- checkTurns() -}}
        {{- bos_token -}}
        {%- for message in messages[first:] -%}
            {%- set content = text(message.content) | trim -%}
            {%- if message.role == 'user' -%}
                {%- if first and loop.first -%}{%- set content = system ~ '\n\n' ~ content -%}{%- endif -%}
                {{- '[INST] ' ~ content ~ ' [/INST]' -}}
            {%- else -%}
                {%- generation -%}{{- ' ' ~ content ~ eos_token -}}{%- endgeneration -%}
            {%- endif -%}
        {%- endfor -%}
        """#,
        "zephyr": #"""
        {%- for message in messages -%}
            {{- '<|' ~ message.role ~ '|>\n' -}}
            {%- if message.role == 'assistant' -%}
                {%- generation -%}{{- text(message.content) ~ eos_token -}}{%- endgeneration -%}
            {%- else -%}
                {{- text(message.content) ~ eos_token -}}
            {%- endif -%}
            {{- '\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}
        """#,
    ]
}
