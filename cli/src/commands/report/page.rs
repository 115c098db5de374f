//! The page: markup, style, program and data in one text.

use serde::Serialize;

/// The markup, with places for the rest.
const SHELL: &str = include_str!("page/page.html");

const STYLE: &str = include_str!("page/style.css");

/// The program's parts, in their order; they share one scope.
const PROGRAM: [&str; 9] = [
    include_str!("page/dom.js"),
    include_str!("page/data.js"),
    include_str!("page/why.js"),
    include_str!("page/calendar.js"),
    include_str!("page/layout.js"),
    include_str!("page/graph.js"),
    include_str!("page/plan.js"),
    include_str!("page/curves.js"),
    include_str!("page/main.js"),
];

/// The whole page. `nonce` is a text that nobody can foresee: the page's policy lets only what bears
/// it run, and nothing reach a network.
///
/// # Errors
/// The data cannot be written as JSON.
pub fn page<T: Serialize>(data: &T, nonce: &str) -> Result<String, serde_json::Error> {
    let data = embedded(&serde_json::to_string(data)?);
    let program = format!("(() => {{\n\"use strict\";\n{}}})();\n", PROGRAM.concat());
    // In the order of the shell's places: what is filled in is never searched for another place.
    let parts = [
        ("{nonce}", nonce),
        ("{nonce}", nonce),
        ("{nonce}", nonce),
        ("{style}", STYLE),
        ("{data}", &data),
        ("{nonce}", nonce),
        ("{program}", &program),
    ];
    let mut page = String::with_capacity(SHELL.len() + STYLE.len() + data.len() + program.len());
    let mut rest = SHELL;
    for (place, text) in parts {
        if let Some((before, after)) = rest.split_once(place) {
            page.push_str(before);
            page.push_str(text);
            rest = after;
        }
    }
    page.push_str(rest);
    Ok(page)
}

/// JSON as it may stand in a `script` element. The parser of HTML ends such an element at the first
/// `</script` and treats `<!--` apart, whatever the JSON means by them (HTML Standard, "Restrictions
/// for contents of script elements"); in JSON these characters only occur in strings, where an
/// escape is the same text.
fn embedded(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let (before, from) = rest.split_at(at);
        safe.push_str(before);
        let mut letters = from.chars();
        if let Some(letter) = letters.next() {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        }
        rest = letters.as_str();
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "</script><script>alert(1)</script><!-- {program} {data} & \u{2028}";

    #[test]
    fn a_value_that_ends_a_script_does_not_end_the_data_and_reads_back_as_it_was() {
        let json = serde_json::to_string(HOSTILE).unwrap();
        let safe = embedded(&json);
        for forbidden in ["<", ">", "&", "\u{2028}"] {
            assert!(!safe.contains(forbidden), "{forbidden:?} in {safe}");
        }
        let read: String = serde_json::from_str(&safe).unwrap();
        assert_eq!(read, HOSTILE);
    }

    #[test]
    fn every_place_of_the_shell_is_filled_and_nothing_that_fills_it_is_taken_for_a_place() {
        let page = page(&HOSTILE, "N0NCE").unwrap();
        assert_eq!(page.matches("N0NCE").count(), 4);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("{program} {data}"));
        assert!(!page.contains("{nonce}") && !page.contains("{style}"));
        assert!(page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn the_page_reaches_no_network_and_runs_only_its_own_program() {
        let page = page(&(), "n").unwrap();
        assert!(page.contains("default-src 'none'"));
        for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
            // The name of SVG's namespace is no address that anybody asks.
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(outside), "{outside}");
        }
        for text_as_markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
        ] {
            assert!(!page.contains(text_as_markup), "{text_as_markup}");
        }
        assert!(!page.contains("eval("));
    }
}
