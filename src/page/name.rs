//! Names that come from data: shortened to a width, set apart from the text around them.

use super::markup::{Element, el};

/// Characters of a name that a tooltip shows.
const TOOLTIP: usize = 80;
/// Characters of a text that are looked at, more than any that is shown.
const MOST: usize = 4_000;
/// What stands for a name that is empty or only space.
const NAMELESS: &str = "(empty)";

/// A name as text whose direction does not leak into the text around it, at most `columns` wide;
/// what is cut shows in its tooltip.
pub(super) fn name(text: &str, columns: usize) -> Element {
    let short = shortened(text, columns);
    let whole = clean(text);
    let element = el("bdi");
    let element = match short == whole {
        true => element,
        false => element.attr("title", cut(&whole, TOOLTIP, TOOLTIP)),
    };
    element.text(short)
}

/// The start of a name, at most `columns` wide, with an ellipsis where something is cut.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    cut(&clean(text), columns, 3 * columns)
}

/// One line without controls, so that what is compared and cut is what is shown. Letters keep their
/// direction; marks that would turn the text after them are dropped.
fn clean(text: &str) -> String {
    let turns = ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    let text: String = text
        .chars()
        .take(MOST)
        .filter(|c| !turns.iter().any(|turn| turn.contains(c)))
        .collect();
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    match words.is_empty() {
        true => NAMELESS.to_owned(),
        false => words.join(" "),
    }
}

/// The start of a text: at most `columns` wide and `characters` long, marks on letters included.
fn cut(text: &str, columns: usize, characters: usize) -> String {
    if columns_of(text) <= columns && text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut taken = 0;
    for character in text.chars().take(characters) {
        taken += width(character);
        if taken + 1 > columns {
            break;
        }
        short.push(character);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Width of a text in columns: the width of a digit, roughly.
pub(super) fn columns_of(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// 0 for marks on other characters, 2 for the wide letters of East Asia and pictograms, else 1.
fn width(character: char) -> usize {
    match u32::from(character) {
        0x300..=0x36f
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_shown_as_it_is() {
        assert_eq!(
            name("left <foot>", 20).to_string(),
            "<bdi>left &lt;foot&gt;</bdi>"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_whole_in_its_tooltip() {
        let shown = name("a name that goes on and on", 10).to_string();
        assert_eq!(
            shown,
            "<bdi title=\"a name that goes on and on\">a name th…</bdi>"
        );
        let endless = name(&"x".repeat(10_000), 10).to_string();
        assert!(endless.len() < 300, "{}", endless.len());
    }

    #[test]
    fn width_counts_wide_letters_twice_and_marks_not_at_all() {
        assert_eq!(shortened("时间序列分类", 7), "时间序…");
        let stacked = format!("e{}", "\u{301}".repeat(1000));
        assert!(
            shortened(&stacked, 10).chars().count() <= 31,
            "marks are cut"
        );
    }

    #[test]
    fn marks_that_turn_text_are_dropped_and_letters_keep_their_direction() {
        assert_eq!(shortened("\u{202e}abc\u{202c} שלום", 20), "abc שלום");
    }

    #[test]
    fn empty_names_are_called_so() {
        assert_eq!(shortened(" \u{0} ", 9), "(empty)");
    }
}
