//! Elements of HTML and SVG: balanced and escaped by construction.

use std::fmt::{self, Display, Formatter};

/// Elements that have no end tag.
const VOID: &[&str] = &["br", "img", "meta"];

/// An element with its attributes and all that it contains.
///
/// Text and attribute values are escaped when they are added, so nothing that comes from data can
/// become markup.
#[derive(Clone, Debug)]
pub(super) struct Element {
    tag: &'static str,
    attributes: String,
    inner: String,
}

/// An empty element.
pub(super) fn el(tag: &'static str) -> Element {
    Element {
        tag,
        attributes: String::new(),
        inner: String::new(),
    }
}

impl Element {
    /// Adds an attribute.
    pub(super) fn attr(mut self, name: &str, value: impl Display) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        escape(&value.to_string(), &mut self.attributes);
        self.attributes.push('"');
        self
    }

    /// Adds several attributes; most of SVG's are numbers.
    pub(super) fn attrs<V: Display>(
        self,
        attributes: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        attributes
            .into_iter()
            .fold(self, |element, (name, value)| element.attr(name, value))
    }

    /// Sets the class.
    pub(super) fn class(self, names: impl Display) -> Self {
        self.attr("class", names)
    }

    /// Adds text.
    pub(super) fn text(mut self, text: impl Display) -> Self {
        escape(&text.to_string(), &mut self.inner);
        self
    }

    /// Adds an element.
    pub(super) fn child(mut self, child: Self) -> Self {
        child.write(&mut self.inner);
        self
    }

    /// Adds elements, those that there are.
    pub(super) fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// Adds a style sheet, which is not escaped; it must be our own.
    pub(super) fn css(mut self, css: &str) -> Self {
        self.inner.push_str(css);
        self
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.tag);
        out.push_str(&self.attributes);
        out.push('>');
        if !VOID.contains(&self.tag) {
            out.push_str(&self.inner);
            out.push_str("</");
            out.push_str(self.tag);
            out.push('>');
        }
    }
}

impl Display for Element {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut out = String::with_capacity(self.inner.len() + 64);
        self.write(&mut out);
        formatter.write_str(&out)
    }
}

/// Appends text as HTML's text or attribute value. Characters that HTML forbids, such as controls
/// and non-characters, become U+FFFD.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            _ if is_forbidden(character) => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(character),
        }
    }
}

fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_cannot_become_markup() {
        let hostile = "\"'><script>alert(1)</script>&amp;";
        let element = el("p").attr("title", hostile).text(hostile);
        let safe = "&#34;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;";
        assert_eq!(
            element.to_string(),
            format!("<p title=\"{safe}\">{safe}</p>")
        );
    }

    #[test]
    fn forbidden_characters_are_replaced() {
        let element = el("p").text("a\0b\u{1b}c\u{ffff}d\r\n");
        assert_eq!(
            element.to_string(),
            "<p>a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}\n</p>"
        );
    }

    #[test]
    fn only_void_elements_lack_an_end() {
        let page = el("div").child(el("br")).child(el("b"));
        assert_eq!(page.to_string(), "<div><br><b></b></div>");
    }
}
