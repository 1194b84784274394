import ChatTemplates
import Diagnostics
import JSONText
import Testing

@Suite("Problems of chat templates")
struct ProblemTests {
    /// What is said of a template that can't be read, or not be rendered.
    private func problem(_ source: String, _ variables: [JSONValue.Member] = []) -> String {
        do {
            return try ChatTemplate(source, file: "chat_template.jinja").render(variables).text
        } catch {
            return error.description
        }
    }

    @Test(
        "name the place and what is wrong with what is written",
        arguments: [
            ("a\n{{ x|foo }}", "2:6: error: the filter 'foo' isn't known"),
            ("{{ x|urlize }}", "1:6: error: the filter 'urlize' isn't supported"),
            ("{{ x is foo }}", "1:9: error: the test 'foo' isn't known"),
            ("a\r\nb\r\n  {% do x %}", "3:6: error: the tag 'do' isn't known, as it isn't to transformers; use 'set'"),
            ("{% block a %}{% endblock %}", "1:4: error: the tag 'block' isn't supported"),
            ("{% frob %}", "1:4: error: the tag 'frob' isn't known"),
            ("{% endif %}", "1:4: error: the tag 'endif' has nothing to end here"),
            ("\n{% for x in y %}{{ x }}", "2:4: error: 'for' has no end; write {% endfor %} behind it"),
            (
                "{% if x %}\n{% for a in b %}\n{% endif %}",
                "3:4: error: found 'endif' where 'else' or 'endfor' has to end the 'for' of line 2 first"
            ),
            ("{{ x", "1:1: error: '{{' has no end; write '}}' behind it"),
            ("{% if x", "1:1: error: '{%' has no end; write '%}' behind it"),
            ("x {# y", "1:3: error: the comment has no end; write '#}' behind it"),
            ("{% raw %}x", "1:1: error: 'raw' has no end; write {% endraw %} behind it"),
            ("{{ 'a }}", "1:4: error: the string has no end; write ' behind it"),
            ("{{ (1] }}", "1:6: error: found ']' where ')' has to close first"),
            ("{{ 1) }}", "1:5: error: ')' closes nothing"),
            ("{{ a $ }}", "1:6: error: '$' has no meaning within a tag"),
            ("{{ a b }}", "1:6: error: expected '}}', found 'b'"),
            ("{{ }}", "1:4: error: expected an expression, found '}}'"),
            ("{% set none = 1 %}", "1:8: error: 'none' can't be assigned to"),
            ("{% break %}", "1:4: error: 'break' stands outside of a loop"),
            (
                "{{ f(a=1, 2) }}",
                "1:5: error: arguments by position come before those by name, and * and ** behind them"
            ),
            ("{% macro m(a=1, b) %}", "1:17: error: the parameter 'b' needs a default value, as the one before it has"),
            ("{{ 99999999999999999999 }}", "1:4: error: 99999999999999999999 is beyond the integers of 64 bits"),
            ("{{ '\\ud800' }}", "1:4: error: the escape \\ud800 is no character"),
        ])
    func syntax(_ source: String, _ expected: String) {
        #expect(problem(source) == "chat_template.jinja:" + expected)
    }

    @Test(
        "name the place and what is wrong while rendering",
        arguments: [
            ("{{ a.b.c }}", "1:6: error: 'a' is undefined"),
            ("{{ m.b.c }}", "1:8: error: an object has no key 'b'"),
            ("{{ m['b']['c'] }}", "1:10: error: an object has no key 'b'"),
            ("{{ m.a + 'x' }}", "1:8: error: '+' can't be applied to an integer and a string"),
            ("{{ a + 'x' }}", "1:6: error: 'a' is undefined"),
            ("\n\n{{ raise_exception('Roles must ' ~ 'alternate!') }}", "3:19: error: Roles must alternate!"),
            ("{{ [].append(1) }}", "1:13: error: 'append' of a list can't be used in a template"),
            ("{{ 'a'.nope() }}", "1:12: error: a string has no attribute 'nope'"),
            ("{{ 'a'.encode() }}", "1:14: error: the method 'encode' of a string isn't supported"),
            ("{{ 1 / 0 }}", "1:6: error: division by zero"),
            (
                "{{ [1]|map('abs')|length }}",
                "1:19: error: the filter 'length' needs a list, not what a filter gives one by one; put '| list' before it"
            ),
            (
                "{{ [1]|map('abs') }}",
                "1:8: error: what a filter gives one by one can't be printed; make a list of it by '| list'"
            ),
            ("{{ 'a'.upper }}", "1:8: error: the method 'upper' can't be printed; is a call of it missing, '()'?"),
            ("{% for x in 5 %}{% endfor %}", "1:13: error: an integer has no elements to go through"),
            (
                "{% for a, b in [[1]] %}{% endfor %}",
                "1:8: error: there are 2 names for the parts of a list, which has 1"
            ),
            ("{% set a, b = 1, 2, 3 %}", "1:8: error: there are 2 names for the parts of a tuple, which has more"),
            ("{% set m.a = 1 %}", "1:8: error: 'm' is no namespace, so that nothing can be assigned to its attribute"),
            (
                "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
                "1:35: error: the macro 'f' takes at most 1 arguments, not 2"
            ),
            ("{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "1:35: error: the macro 'f' has no argument 'b'"),
            ("{{ 'x'|replace('a') }}", "1:8: error: the filter 'replace' needs the argument 'new'"),
            ("{{ 'x'|trim(foo=1) }}", "1:8: error: the filter 'trim' has no argument 'foo'"),
            ("{{ range(100001) }}", "1:9: error: the range has more than 100000 elements"),
            ("{{ none < 1 }}", "1:4: error: none and an integer have no order"),
            ("{{ a|tojson }}", "1:6: error: an undefined value can't be written as JSON: 'a' is undefined"),
            ("{{ '%d' % 'x' }}", "1:9: error: '%d' needs an integer, not a string"),
            ("{{ 9223372036854775807 + 1 }}", "1:24: error: the result is beyond the integers of 64 bits"),
            ("{{ lipsum() }}", "1:10: error: the function 'lipsum' isn't supported"),
        ])
    func rendering(_ source: String, _ expected: String) {
        #expect(problem(source, [.init("m", ["a": 1])]) == "chat_template.jinja:" + expected)
    }

    @Test(
        "hold a template that would take all time, memory or stack",
        arguments: [
            (
                "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
                "1:21: error: rendering nests more than 1000 levels deep; does a macro call itself without end?"
            ),
            (
                "{% set l = range(99999)|list %}{% for a in l %}{{ l|length }}{% endfor %}",
                "1:53: error: rendering takes more than 50000000 steps; does a loop or a macro have no end?"
            ),
            ("{{ 'x' * 99999999 }}", "1:8: error: a text becomes longer than 67108864 bytes"),
            (
                "{{ [1] * 99999999 }}",
                "1:8: error: rendering takes more than 50000000 steps; does a loop or a macro have no end?"
            ),
            (
                "{% set n = namespace(a=[]) %}{% for i in range(9999) %}{% set n.a = [n.a] %}{% endfor %}",
                "1:69: error: a value nests more than 512 levels deep"
            ),
            (
                "{% set n = namespace(a='') %}{% set n.a = n %}{{ n }}",
                "1:50: error: the value nests too deep to be printed"
            ),
            (
                "{% set n = namespace(a=[1]) %}{% for i in range(9999) %}{% set n.a = n.a|map('abs') %}{% endfor %}",
                "1:74: error: a value nests more than 512 levels deep"
            ),
        ])
    func limits(_ source: String, _ expected: String) {
        #expect(problem(source) == "chat_template.jinja:" + expected)
    }

    @Test("hold expressions and tags that nest too deep")
    func depth() {
        func nested(_ opening: String, _ middle: String, _ closing: String, _ count: Int) -> String {
            String(repeating: opening, count: count) + middle + String(repeating: closing, count: count)
        }
        let tooDeep = "error: the expression nests more than 190 levels deep"
        #expect(problem("{{ " + nested("(", "1", ")", 5_000) + " }}") == "chat_template.jinja:1:195: \(tooDeep)")
        #expect(problem("{{ " + nested("[", "1", "]", 5_000) + " }}") == "chat_template.jinja:1:194: \(tooDeep)")
        #expect(problem("{{ " + nested("-", "1", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ " + nested("not ", "1", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ 1" + nested(" + 1", "", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ 1" + nested("|abs", "", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ 1" + nested(" if 1 else 2", "", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ " + nested("1 if 1 else ", "2", "", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(problem("{{ a" + nested("[a", "", "]", 5_000) + " }}").hasSuffix(tooDeep))
        #expect(
            problem(nested("{% if 1 %}", "x", "{% endif %}", 5_000))
                == "chat_template.jinja:1:501: error: tags stand more than 50 levels deep within each other")
        #expect(problem("{{ 1" + nested(" + 1", "", "", 180) + " }}") == "181")
        #expect(problem(nested("{% if 1 %}", "x", "{% endif %}", 40)) == "x")
    }
}
