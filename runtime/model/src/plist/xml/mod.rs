//! The XML format. The text goes through two passes: a scan of the raw markup, which keeps the bounds and
//! refuses what readers of property lists take differently, and then an XML parser for well-formedness and
//! the decoding of text. The scan comes first so that the parser never sees deep nesting, long attribute
//! lists or entity declarations. No external DTD is ever fetched; naming Apple's is allowed.

use roxmltree::ParsingOptions;

mod scan;

use super::{Entry, Node, Value, dictionary, fault, scalar, shown};
use crate::finding::{Finding, Span};

/// Reads the one value inside `<plist>`.
pub(super) fn read(text: &str) -> Result<Node, Finding> {
    scan::scan(text)?;
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(text, options).map_err(|error| syntax(&error, text))?;
    let plist = document.root_element();
    let mut values = elements(plist);
    let value = values
        .next()
        .ok_or_else(|| fault("empty-plist", span_of(plist), "<plist> is empty; expected one value in it"))?;
    if let Some(second) = values.next() {
        let message = format!("a second value, <{}>, in <plist>; expected one", name_of(second));
        return Err(fault("several-values", span_of(second), message));
    }
    node(value, text)
}

/// A fault found by the XML parser, with its line and column turned into bytes.
fn syntax(error: &roxmltree::Error, text: &str) -> Finding {
    let place = error.pos();
    let (row, column) = (place.row as usize, place.col as usize);
    let line: usize = text.split_inclusive('\n').take(row.saturating_sub(1)).map(str::len).sum();
    let before: usize = text[line..].chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    let start = line + before;
    let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
    let message = error.to_string().replace(&format!(" at {place}"), "");
    let message = format!("not well-formed XML: {message}; expected a well-formed file");
    fault("malformed-xml", Some(Span { start, end }), message)
}

type Element<'a, 'input> = roxmltree::Node<'a, 'input>;

fn elements<'a, 'input>(parent: Element<'a, 'input>) -> impl Iterator<Item = Element<'a, 'input>> {
    parent.children().filter(Element::is_element)
}

fn name_of<'a>(element: Element<'a, '_>) -> &'a str {
    element.tag_name().name()
}

fn span_of(element: Element<'_, '_>) -> Option<Span> {
    let range = element.range();
    Some(Span { start: range.start, end: range.end })
}

fn text_of(element: Element<'_, '_>) -> String {
    element.children().filter_map(|child| child.text()).collect()
}

/// The text between an element's tags, or the whole element if there is none.
fn content_span(element: Element<'_, '_>, text: &str) -> Option<Span> {
    let whole = span_of(element)?;
    let source = &text[whole.start..whole.end];
    let (start, end) = (source.find('>')? + 1, source.rfind('<')?);
    if start >= end {
        return Some(whole);
    }
    Some(Span { start: whole.start + start, end: whole.start + end })
}

/// One value; the scan has bounded how deep this goes.
fn node(element: Element<'_, '_>, text: &str) -> Result<Node, Finding> {
    let span = span_of(element);
    let content = || text_of(element);
    let value = match name_of(element) {
        "dict" => dictionary(entries(element, text)?, text)?,
        "array" => Value::Array(items(element, text)?),
        "integer" => Value::Integer(scalar::integer(&content(), span)?),
        "real" => Value::Real(scalar::real(&content(), span)?),
        "date" => Value::Date(scalar::date(&content(), span)?),
        "data" => Value::Data(scalar::base64(&content(), span)?),
        "true" => Value::Boolean(boolean(element, true)?),
        "false" => Value::Boolean(boolean(element, false)?),
        _ => Value::String(content()),
    };
    Ok(Node { value, span })
}

fn items(array: Element<'_, '_>, text: &str) -> Result<Vec<Node>, Finding> {
    elements(array).map(|item| node(item, text)).collect()
}

fn boolean(element: Element<'_, '_>, value: bool) -> Result<bool, Finding> {
    let content = text_of(element);
    if content.is_empty() {
        return Ok(value);
    }
    let message = format!("the text {} in <{value}>; expected <{value}/>", shown(&content));
    Err(fault("bad-boolean", span_of(element), message))
}

fn entries(dict: Element<'_, '_>, text: &str) -> Result<Vec<Entry>, Finding> {
    let mut children = elements(dict);
    let mut entries = Vec::new();
    while let Some(key) = children.next() {
        if name_of(key) != "key" {
            return Err(value_without_key(key));
        }
        let value = children.next().filter(|value| name_of(*value) != "key");
        let value = value.ok_or_else(|| key_without_value(key))?;
        let key_span = content_span(key, text);
        entries.push(Entry { key: text_of(key), key_span, value: node(value, text)? });
    }
    Ok(entries)
}

fn value_without_key(value: Element<'_, '_>) -> Finding {
    let message = format!("<{}> in <dict> without a key; expected <key> first", name_of(value));
    fault("value-without-key", span_of(value), message)
}

fn key_without_value(key: Element<'_, '_>) -> Finding {
    let message = format!("the key {} has no value; expected one after it", shown(&text_of(key)));
    fault("key-without-value", span_of(key), message)
}
