//! The pass over the raw markup of an XML list: it keeps the bounds and refuses what readers of property lists take
//! differently. It builds nothing, and leaves well-formedness to the XML parser behind it.

use super::super::bounds::Budget;
use super::super::{BYTE_ORDER_MARK, fault, shown};
use crate::finding::{Finding, Span, line_and_column};

/// Refuses what must not reach the XML parser.
pub(super) fn scan(text: &str) -> Result<(), Finding> {
    Scanner::new(text).scan()
}

/// White space as XML has it.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// What an element of the vocabulary may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// `<plist>`: one value.
    Root,
    /// `<dict>`, `<array>`: elements.
    Container,
    /// `<key>`: text; it is no value itself.
    Key,
    /// Everything else: text, or nothing.
    Leaf,
}

impl Content {
    fn of(name: &str) -> Option<Self> {
        match name {
            "plist" => Some(Self::Root),
            "dict" | "array" => Some(Self::Container),
            "key" => Some(Self::Key),
            "string" | "integer" | "real" | "true" | "false" | "date" | "data" => Some(Self::Leaf),
            _ => None,
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Key | Self::Leaf)
    }
}

/// An element whose end has not been met.
#[derive(Clone, Copy)]
struct Open<'t> {
    name: &'t str,
    content: Content,
    span: Span,
}

/// The pass over the raw markup.
struct Scanner<'t> {
    text: &'t str,
    start: usize,
    at: usize,
    open: Vec<Open<'t>>,
    rooted: bool,
    budget: Budget,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        Self { text, start, at: start, open: Vec::new(), rooted: false, budget: Budget::default() }
    }

    fn scan(mut self) -> Result<(), Finding> {
        while let Some(length) = self.rest().find('<') {
            self.characters(length)?;
            self.markup()?;
        }
        self.characters(self.rest().len())?;
        if let Some(open) = self.open.last() {
            let message = format!("<{0}> is not closed; expected </{0}>", open.name);
            return Err(fault("malformed-xml", Some(open.span), message));
        }
        if !self.rooted {
            let message = "found no element; expected <plist> with a value in it";
            return Err(fault("missing-plist", None, message));
        }
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn ahead(&self, length: usize) -> Span {
        Span { start: self.at, end: self.at + length }
    }

    fn in_text(&self) -> Option<Open<'t>> {
        self.open.last().copied().filter(|open| open.content.is_text())
    }

    /// Text up to the next markup.
    fn characters(&mut self, length: usize) -> Result<(), Finding> {
        let characters = &self.rest()[..length];
        if self.in_text().is_some() {
            self.references(characters)?;
        } else {
            self.blank(characters)?;
        }
        self.at += length;
        Ok(())
    }

    /// Between elements only white space may stand.
    fn blank(&self, characters: &str) -> Result<(), Finding> {
        let stray = characters.trim_matches(SPACE);
        if stray.is_empty() {
            return Ok(());
        }
        let before = characters.len() - characters.trim_start_matches(SPACE).len();
        let start = self.at + before;
        let span = Span { start, end: start + stray.len() };
        let place = match self.open.last() {
            Some(open) => format!("in <{}>; expected elements only", open.name),
            None => "outside <plist>; expected nothing there".to_owned(),
        };
        Err(fault("stray-text", Some(span), format!("the text {} {place}", shown(stray))))
    }

    /// Only references that mean the same to every reader: the five of XML and characters by number.
    fn references(&self, characters: &str) -> Result<(), Finding> {
        for (index, _) in characters.match_indices('&') {
            let after = &characters[index + 1..];
            let length = after.find(|next: char| !next.is_ascii_alphanumeric() && next != '#').unwrap_or(after.len());
            if !(after[length..].starts_with(';') && is_reference(&after[..length])) {
                return Err(self.bad_reference(index, &after[..length]));
            }
        }
        Ok(())
    }

    fn bad_reference(&self, index: usize, name: &str) -> Finding {
        let start = self.at + index;
        let span = Span { start, end: start + 1 + name.len() };
        let found = shown(&self.text[start..span.end]);
        let expected = "expected &amp;, &lt;, &gt;, &quot;, &apos; or a character as in &#233;";
        fault("entity", Some(span), format!("{found} is no reference property lists have; {expected}"))
            .help("write a plain & as &amp;")
    }

    fn markup(&mut self) -> Result<(), Finding> {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            self.comment()
        } else if rest.starts_with("<![CDATA[") {
            self.character_data()
        } else if rest.starts_with("<!DOCTYPE") {
            self.document_type()
        } else if rest.starts_with("<?") {
            self.instruction()
        } else if rest.starts_with("</") {
            self.end_tag()
        } else if rest.starts_with("<!") {
            let message = "a declaration here; expected elements, comments or text";
            Err(fault("malformed-xml", Some(self.ahead(2)), message))
        } else {
            self.start_tag()
        }
    }

    /// The length of the construct that begins here with `opening` characters, up to its terminator.
    fn length(&self, opening: usize, terminator: &str, what: &str) -> Result<usize, Finding> {
        let end = self.rest()[opening..].find(terminator).ok_or_else(|| self.unclosed(what))?;
        Ok(opening + end + terminator.len())
    }

    fn unclosed(&self, what: &str) -> Finding {
        let message = format!("found the end of the file; expected the end of the {what} begun here");
        fault("malformed-xml", Some(self.ahead(1)), message)
    }

    fn comment(&mut self) -> Result<(), Finding> {
        let length = self.length(4, "-->", "comment")?;
        self.refuse_in_text("a comment", length)?;
        self.at += length;
        Ok(())
    }

    /// Some readers join the text around a comment, others end it there.
    fn refuse_in_text(&self, what: &str, length: usize) -> Result<(), Finding> {
        let Some(open) = self.in_text() else {
            return Ok(());
        };
        let message = format!("{what} in <{}>; expected text only", open.name);
        Err(fault("mixed-content", Some(self.ahead(length)), message))
    }

    fn character_data(&mut self) -> Result<(), Finding> {
        let length = self.length(9, "]]>", "CDATA section")?;
        if self.in_text().is_none() {
            let message = "a CDATA section here; expected it only where text may stand";
            return Err(fault("stray-text", Some(self.ahead(length)), message));
        }
        self.at += length;
        Ok(())
    }

    fn document_type(&mut self) -> Result<(), Finding> {
        let length = self.markup_length("document type")?;
        let declaration = &self.rest()["<!DOCTYPE".len()..length - 1];
        let name = declaration.trim_matches(SPACE);
        let name = name.split(SPACE).next().unwrap_or(name);
        if name != "plist" || self.rooted {
            let message = format!("the document type {}; expected plist, once", shown(name));
            return Err(fault("malformed-xml", Some(self.ahead(length)), message));
        }
        self.at += length;
        Ok(())
    }

    /// The length of the tag or document type that begins here, up to its `>`.
    fn markup_length(&self, what: &str) -> Result<usize, Finding> {
        let end = markup_end(self.rest()).ok_or_else(|| self.unclosed(what))?;
        let span = Some(self.ahead(end + 1));
        match self.rest().as_bytes()[end] {
            b'>' => Ok(end + 1),
            b'[' if what != "tag" => {
                let message = "declarations inside <!DOCTYPE>; expected none, as in <!DOCTYPE plist>";
                let help = "write out what the entities stand for";
                Err(fault("internal-subset", span, message).help(help))
            }
            other => {
                let message = format!("found {:?} in a {what}; expected '>'", char::from(other));
                Err(fault("malformed-xml", span, message))
            }
        }
    }

    fn instruction(&mut self) -> Result<(), Finding> {
        let length = self.length(2, "?>", "processing instruction")?;
        let inside = &self.rest()[2..length - 2];
        let (target, content) = inside.split_at(inside.find(SPACE).unwrap_or(inside.len()));
        self.refuse_in_text("a processing instruction", length)?;
        if target.eq_ignore_ascii_case("xml") {
            self.declaration(target, content, self.ahead(length))?;
        }
        self.at += length;
        Ok(())
    }

    /// `<?xml version="1.0" encoding="UTF-8"?>`
    fn declaration(&self, target: &str, content: &str, span: Span) -> Result<(), Finding> {
        if target != "xml" || self.at != self.start {
            let message = "an XML declaration here; expected it as the very first characters";
            return Err(fault("malformed-xml", Some(span), message));
        }
        // Only after this space does the parser take it for a declaration and check its order.
        if !content.starts_with(' ') {
            return Err(fault("malformed-xml", Some(span), BAD_DECLARATION));
        }
        let mut rest = content.trim_matches(SPACE);
        while !rest.is_empty() {
            let malformed = || fault("malformed-xml", Some(span), BAD_DECLARATION);
            let (name, value, after) = attribute(rest).ok_or_else(malformed)?;
            self.declared(name, value, span)?;
            rest = after.trim_start_matches(SPACE);
        }
        Ok(())
    }

    fn declared(&self, name: &str, value: &str, span: Span) -> Result<(), Finding> {
        let ascii = value.eq_ignore_ascii_case("us-ascii") && self.text[self.start..].is_ascii();
        match name {
            "version" if value == "1.0" => Ok(()),
            "standalone" if matches!(value, "yes" | "no") => Ok(()),
            "encoding" if ascii || value.eq_ignore_ascii_case("utf-8") => Ok(()),
            "encoding" => {
                let message = format!("the encoding {}; expected UTF-8", shown(value));
                Err(fault("wrong-encoding", Some(span), message).help("convert the file to UTF-8"))
            }
            _ => Err(fault("malformed-xml", Some(span), BAD_DECLARATION)),
        }
    }

    fn start_tag(&mut self) -> Result<(), Finding> {
        let length = self.markup_length("tag")?;
        let span = self.ahead(length);
        let tag = &self.rest()[1..length - 1];
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_at(tag.find(SPACE).unwrap_or(tag.len()));
        let content = known(name, span)?;
        self.check_place(name, content, span)?;
        check_attributes(content, name, attributes.trim_matches(SPACE), span)?;
        self.count(content, span)?;
        self.open.push(Open { name, content, span });
        self.at = span.end;
        if empty {
            self.close();
        }
        Ok(())
    }

    fn count(&mut self, content: Content, span: Span) -> Result<(), Finding> {
        if matches!(content, Content::Container | Content::Leaf) {
            self.budget.value(Some(span))?;
        }
        if content == Content::Container {
            self.budget.enter(Some(span))?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop()
            && open.content == Content::Container
        {
            self.budget.leave();
        }
    }

    fn check_place(&mut self, name: &str, content: Content, span: Span) -> Result<(), Finding> {
        let refuse = |code: &'static str, message: String| Err(fault(code, Some(span), message));
        let Some(parent) = self.open.last() else {
            return self.check_root(name, content, span);
        };
        if parent.content.is_text() {
            let message = format!("<{name}> in <{}>; expected text only", parent.name);
            return refuse("mixed-content", message);
        }
        match content {
            Content::Root => refuse("malformed-xml", "<plist> inside <plist>; expected one".into()),
            Content::Key if parent.name != "dict" => {
                let message = format!("<key> in <{}>; expected it in <dict> only", parent.name);
                refuse("key-without-value", message)
            }
            _ => Ok(()),
        }
    }

    fn check_root(&mut self, name: &str, content: Content, span: Span) -> Result<(), Finding> {
        if content != Content::Root {
            let message = format!("the outermost element is <{name}>; expected <plist>");
            return Err(
                fault("missing-plist", Some(span), message).help("put <plist version=\"1.0\"> and </plist> around it")
            );
        }
        if self.rooted {
            let message = "a second <plist>; expected one in a file";
            return Err(fault("several-values", Some(span), message));
        }
        self.rooted = true;
        Ok(())
    }

    fn end_tag(&mut self) -> Result<(), Finding> {
        let length = self.length(2, ">", "tag")?;
        let name = self.rest()[2..length - 1].trim_end_matches(SPACE);
        if self.open.last().is_none_or(|open| open.name != name) {
            return Err(self.wrong_end(name, length));
        }
        self.close();
        self.at += length;
        Ok(())
    }

    fn wrong_end(&self, name: &str, length: usize) -> Finding {
        let expected = match self.open.last() {
            Some(open) => {
                let line = line_and_column(self.text.as_bytes(), open.span.start).0;
                format!("</{}>, which ends the element of line {line}", open.name)
            }
            None => "nothing, as no element is open".to_owned(),
        };
        let message = format!("found the end tag of {}; expected {expected}", shown(name));
        fault("malformed-xml", Some(self.ahead(length)), message)
    }
}

const BAD_DECLARATION: &str = "the XML declaration is not one that every reader knows; \
     expected <?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// Where a tag or document type ends, or what cannot be in one begins: the first `>`, `<` or `[` outside
/// quotes, the opening `<` left out.
fn markup_end(markup: &str) -> Option<usize> {
    let mut quote = None;
    let inside = markup.strip_prefix('<')?;
    let end = inside.find(|next: char| {
        match (quote, next) {
            (None, '"' | '\'') => quote = Some(next),
            (None, _) => return matches!(next, '>' | '<' | '['),
            (Some(open), _) if open == next => quote = None,
            _ => {}
        }
        false
    })?;
    Some(end + 1)
}

/// The first `name="value"` of the text, and what follows it.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start_matches(SPACE);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest[1..].split_once(quote)?;
    Some((name.trim_end_matches(SPACE), value, rest))
}

/// The name between `&` and `;`; a number must be that of a character.
fn is_reference(name: &str) -> bool {
    let number = match name.strip_prefix('#') {
        None => return matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
        Some(number) => number,
    };
    let parsed = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    parsed.is_ok_and(|number| char::from_u32(number).is_some())
}

fn known(name: &str, span: Span) -> Result<Content, Finding> {
    if name.contains(':') {
        let message = format!("the element {} has a name space; expected none", shown(name));
        return Err(fault("namespace", Some(span), message));
    }
    Content::of(name).ok_or_else(|| {
        let expected = "expected dict, key, array, string, integer, real, true, false, date or data";
        let message = format!("unknown element {}; {expected}", shown(name));
        fault("unknown-element", Some(span), message)
    })
}

fn check_attributes(content: Content, name: &str, attributes: &str, span: Span) -> Result<(), Finding> {
    let versioned = || {
        let version =
            attribute(attributes).is_some_and(|attribute| matches!(attribute, ("version", "1.0" | "0.9", "")));
        content == Content::Root && version
    };
    if attributes.is_empty() || versioned() {
        return Ok(());
    }
    let code = if attributes.starts_with("xmlns") { "namespace" } else { "unknown-attribute" };
    let found = format!("{} in <{name}>", shown(attributes));
    let message = format!("{found}; expected no attributes but version=\"1.0\" in <plist>");
    Err(fault(code, Some(span), message))
}
