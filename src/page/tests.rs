//! Whole pages: small and huge sets, hostile names, balance of tags, size.
//!
//! With `TIMESCLIP_PAGES=DIR` the pages are also written to that folder, for
//! `tests/html/check.py` and for eyes.

#[expect(
    clippy::cast_possible_truncation,
    reason = "small numbers of made-up data"
)]
mod samples;

use std::fs;
use std::path::Path;

use super::ReportPage;

/// Bytes of a page.
const MAX_BYTES: usize = 3_000_000;
/// Elements without an end tag.
const VOID: [&str; 3] = ["br", "img", "meta"];

/// Writes a page if it is asked for, and gives its text.
fn page(name: &str, page: &ReportPage) -> String {
    let html = page.to_html();
    if let Some(folder) = std::env::var_os("TIMESCLIP_PAGES") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.html")), &html).unwrap();
    }
    html
}

/// Start and end tags in order: name, attributes, whether it ends an element.
fn tags(html: &str) -> Vec<(&str, &str, bool)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let inside = &rest[start + 1..end];
        let (ends, inside) = match inside.strip_prefix('/') {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        tags.push((name, attributes, ends));
        rest = &rest[end + 1..];
    }
    tags
}

/// What must hold of every page.
fn check(html: &str) {
    assert!(html.len() < MAX_BYTES, "{} bytes", html.len());
    let body = html
        .strip_prefix("<!DOCTYPE html>\n")
        .expect("a document type");
    let mut open = Vec::new();
    let mut ids = Vec::new();
    for (name, attributes, ends) in tags(body) {
        match (ends, VOID.contains(&name)) {
            (true, _) => assert_eq!(
                open.pop(),
                Some(name),
                "an end tag closes the last start tag"
            ),
            (false, true) => {}
            (false, false) => open.push(name),
        }
        assert!(
            !["script", "link", "iframe", "object", "base"].contains(&name),
            "{name} is active"
        );
        assert!(attributes.matches('"').count() % 2 == 0, "{attributes}");
        let quoted: Vec<&str> = attributes.split('"').collect();
        for pair in quoted.chunks_exact(2) {
            let attribute = pair[0].trim().trim_end_matches('=');
            assert!(!attribute.starts_with("on"), "{attribute} is active");
            match attribute {
                "src" => assert!(pair[1].starts_with("data:image/png;base64,"), "{}", pair[1]),
                "href" => assert!(pair[1].starts_with('#'), "{}", pair[1]),
                "id" => ids.push(pair[1]),
                _ => {}
            }
        }
    }
    assert!(open.is_empty(), "{open:?} are never closed");
    let style = &body[body.find("<style>").unwrap()..body.find("</style>").unwrap()];
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "the style sheet refers to nothing"
    );
    let n = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n, "no id is used twice");
    // Pictures may spell anything.
    let plain = body
        .split("data:image/png;base64,")
        .map(|part| part.trim_start_matches(|c| c != '"'));
    let plain: String = plain.collect();
    let numbers = ["NaN", "inf\"", "inf ", "inf%"].map(|text| plain.contains(text));
    assert_eq!(numbers, [false; 4], "no number is shown that is none");
}

#[test]
fn a_multivariate_set_has_all_sections_in_order() {
    let html = page("vowels", &samples::vowels());
    check(&html);
    let ids = [
        "verdict",
        "confusion",
        "classes",
        "calibration",
        "learning",
        "modalities",
        "importance",
        "examples",
        "data",
        "early",
        "comparison",
        "cost",
        "provenance",
    ];
    let places: Vec<usize> = ids
        .iter()
        .map(|id| {
            html.find(&format!("<section id=\"{id}\">"))
                .unwrap_or_else(|| panic!("{id} is not there"))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn sets_of_all_sizes_make_sound_pages() {
    let sets = [
        ("gunpoint", samples::gunpoint()),
        ("forty", samples::of_classes(40, 2)),
        ("thousand", samples::of_classes(1000, 3)),
        ("hundred", samples::of_classes(4, 100)),
    ];
    for (name, set) in sets {
        check(&page(name, &set));
    }
}

#[test]
fn a_page_about_a_comparison_begins_with_it() {
    let mut set = samples::vowels();
    set.evaluation = None;
    let html = page("comparison", &set);
    check(&html);
    let first = html.split("<section id=\"").nth(1).unwrap();
    assert!(first.starts_with("comparison\""), "{}", &first[..40]);
}

#[test]
fn a_page_of_nothing_is_a_sound_page() {
    let html = page("nothing", &ReportPage::default());
    check(&html);
    assert!(html.contains("no labeled samples"), "it says so");
    assert_eq!(html.matches("<section").count(), 1);
}

#[test]
fn hostile_names_are_shown_as_text() {
    let (set, hostile) = samples::hostile();
    let html = page("hostile", &set);
    check(&html);
    assert!(
        !html.contains("<script") && !html.contains("<img src=x"),
        "nothing became markup"
    );
    assert!(
        html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
        "it is there as text"
    );
    assert!(
        html.contains("<bdi>שלום עולם</bdi>"),
        "right-to-left text is set apart"
    );
    let whole: Vec<&String> = hostile.iter().filter(|name| name.len() > 5_000).collect();
    assert!(
        !whole.is_empty() && whole.iter().all(|name| html.contains(name.as_str())),
        "long names are there in full"
    );
}

#[test]
fn a_thousand_names_of_ten_kilobytes_stay_within_the_size() {
    let mut set = samples::of_classes(1000, 3);
    for (i, name) in set.class_names.iter_mut().enumerate() {
        *name = format!("{i} {}", "<&\">".repeat(2_500));
    }
    check(&set.to_html());
}

#[test]
fn numbers_that_are_none_are_dashes() {
    check(&page("not_numbers", &samples::not_numbers()));
}
