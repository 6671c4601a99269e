//! The name of its column in every cell of a table, so that a row can stand as a card where a
//! window is narrow.
//!
//! It is done here for all tables alike: where each template said it once more, one of them would
//! forget it or say something else than the table's head. Pages escape what they are given, so that
//! a `<td` in one is a cell.
//!
//! Tables of few columns fit into any window, and in calendars and long tables of numbers one looks
//! up and down: they stay tables.

/// Columns from which on a row can be a card.
const CARD: usize = 4;

/// Classes of tables that stay tables.
const NEVER: [&str; 2] = ["<table class=\"calendar\"", "<table class=\"numbers\""];

/// The same page, or part of one, with `data-column` in the cells of the bodies of its tables.
pub fn named(html: &str) -> String {
    let mut named = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html;
    while let Some((before, table, after)) = cut(rest, "<table", "</table>") {
        named += before;
        match table.split_once("</thead>") {
            Some((head, body))
                if cells(head).len() >= CARD && !NEVER.iter().any(|it| table.starts_with(it)) =>
            {
                let columns: Vec<String> = cells(head).into_iter().map(words).collect();
                named.push_str(head);
                named += "</thead>";
                fill(&mut named, body, &columns);
            }
            _ => named += table,
        }
        rest = after;
    }
    named + rest
}

/// What comes before the first part that begins and ends so, the part itself, and what comes after
/// it.
fn cut<'a>(html: &'a str, begins: &str, ends: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let from = html.find(begins)?;
    let to = from + html[from..].find(ends)? + ends.len();
    Some((&html[..from], &html[from..to], &html[to..]))
}

/// Where the next cell's tag has its name's end.
fn next_cell(html: &str) -> Option<usize> {
    let is_cell = |at: &usize| matches!(html.as_bytes().get(at + 3), Some(b' ' | b'>'));
    let starts = html.match_indices("<t").map(|(at, _)| at);
    starts.filter(is_cell).find(|at| matches!(html.as_bytes()[at + 2], b'd' | b'h')).map(|at| at + 3)
}

/// What stands in each cell of a row.
fn cells(row: &str) -> Vec<&str> {
    let (mut cells, mut rest) = (Vec::new(), row);
    while let Some(at) = next_cell(rest) {
        let inner = &rest[at..];
        let from = inner.find('>').map_or(inner.len(), |at| at + 1);
        let to = inner.find("</t").map_or(inner.len(), |to| to.max(from));
        cells.push(&inner[from..to]);
        rest = &inner[to..];
    }
    cells
}

/// The text without tags.
fn words(html: &str) -> String {
    let mut words = String::new();
    for part in html.split('<') {
        words += part.split_once('>').map_or(part, |(_, text)| text);
    }
    words.trim().replace('"', "&#34;")
}

fn fill(named: &mut String, body: &str, columns: &[String]) {
    for (index, row) in body.split("<tr").enumerate() {
        if index > 0 {
            *named += "<tr";
        }
        let (mut columns, mut rest) = (columns.iter(), row);
        while let Some(at) = next_cell(rest) {
            *named += &rest[..at];
            if let Some(column) = columns.next().filter(|column| !column.is_empty()) {
                *named += " data-column=\"";
                *named += column;
                *named += "\"";
            }
            rest = &rest[at..];
        }
        *named += rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_has_the_name_of_its_column() {
        let html = "<p>before</p><table class=\"x\">\n<thead><tr><th scope=\"col\" class=\"tick\"><span class=\"hidden\">Select</span></th>\
            <th scope=\"col\">To \"what\"</th><th></th><th>Last</th></tr></thead><tbody id=\"t\"><tr id=\"1\"><td><input></td>\
            <th scope=\"row\">a &lt;td&gt;</th><td>c</td></tr><tr><td class=\"y\">d</td></tr></tbody></table><td>";
        let expected = "<p>before</p><table class=\"x\">\n<thead><tr><th scope=\"col\" class=\"tick\"><span class=\"hidden\">Select</span></th>\
            <th scope=\"col\">To \"what\"</th><th></th><th>Last</th></tr></thead><tbody id=\"t\"><tr id=\"1\"><td data-column=\"Select\"><input></td>\
            <th data-column=\"To &#34;what&#34;\" scope=\"row\">a &lt;td&gt;</th><td>c</td></tr><tr><td data-column=\"Select\" class=\"y\">d</td></tr></tbody></table><td>";
        assert_eq!(named(html), expected);
    }

    #[test]
    fn what_is_no_table_stays_as_it_is() {
        for html in [
            "",
            "<p>text</p>",
            "<tr><td>a row alone</td></tr>",
            "<table><tbody><tr><td>no head",
            "<table><tr><td>a</td></tr></table>",
            "<table><thead><tr><th>A</th><th>B</th><th>C</th></tr></thead><tr><td>a</td></tr></table>",
            "<table class=\"numbers\"><thead><tr><th>A</th><th>B</th><th>C</th><th>D</th></tr></thead><tr><td>a</td></tr></table>",
        ] {
            assert_eq!(named(html), html);
        }
    }
}
