//! One run: what it is, and its elements.

use proto::api::{ElementStatus, RunSummary};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget};

use super::super::state::{Opened, State};
use super::state_span;
use crate::commands::{ps, status};
use crate::show::table::{name_width, plain, width};

/// What an element's id and the name of its node have where none needs more, so that columns stay
/// where they are while elements come and go.
const ELEMENT_WIDTH: usize = 20;
const NODE_WIDTH: usize = 12;

pub(super) fn render(state: &State, opened: &Opened, area: Rect, buffer: &mut Buffer) {
    let Some(told) = &opened.told else {
        Line::from(format!("asking for run {}", opened.run)).render(area, buffer);
        return;
    };
    let rows = [Constraint::Length(4), Constraint::Length(1), Constraint::Fill(1)];
    let [top, _, rest] = Layout::vertical(rows).areas(area);
    let run = told.run.clone().unwrap_or_default();
    Paragraph::new(facts(&run, state.now_ms)).render(top, buffer);

    let right = |text: &'static str| Cell::from(Line::from(text).alignment(Alignment::Right));
    let head = Row::new([
        Cell::from("ELEMENT"),
        Cell::from("STATE"),
        right("TRY"),
        Cell::from("NODE"),
        right("TOOK"),
        Cell::from(more(told.elements.len() as u64, told.elements_total)),
    ]);
    let rows = told.elements.iter().map(|element| row(element, state.now_ms));
    let ids = told.elements.iter().map(|element| width(&element.id)).max().unwrap_or(0);
    let nodes = told.elements.iter().map(|element| width(node(element))).max().unwrap_or(0);
    let most = name_width(usize::from(area.width));
    let widths = [
        Constraint::Length(ids.max(ELEMENT_WIDTH) as u16),
        Constraint::Length(9),
        Constraint::Length(4),
        Constraint::Length(nodes.clamp(NODE_WIDTH, most) as u16),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths)
        .header(head.style(Modifier::BOLD))
        .row_highlight_style(Modifier::REVERSED);
    let mut at = TableState::default().with_selected(Some(opened.selected));
    StatefulWidget::render(table, rest, buffer, &mut at);
}

fn facts(run: &RunSummary, now_ms: u64) -> Vec<Line<'static>> {
    let counts: Vec<_> =
        run.counts.iter().map(|count| format!("{} {}", count.count, count.state)).collect();
    let name = if run.name.is_empty() { String::new() } else { format!(" ({})", run.name) };
    let state = state_span(&run.state);
    let since = match ps::took(run, now_ms) {
        _ if run.started_us == 0 => String::new(),
        took if run.ended_ms > 0 => format!("  took {took}"),
        took => format!("  for {took}"),
    };
    vec![
        Line::styled(format!("run {}{name}", run.run), Modifier::REVERSED),
        Line::from(vec![
            Span::raw("state     "),
            Span::styled(run.state.clone(), state.style),
            Span::raw(since),
        ]),
        Line::from(format!("command   {}", plain(&run.command))),
        Line::from(format!("elements  {}", counts.join(", "))),
    ]
}

/// Where its last attempt is or was.
fn node(element: &ElementStatus) -> &str {
    element.attempts.last().map_or("-", |attempt| attempt.node.as_str())
}

fn more(shown: u64, total: u64) -> String {
    if shown < total { format!("RESULT ({shown} of {total})") } else { "RESULT".to_owned() }
}

fn row(element: &ElementStatus, now_ms: u64) -> Row<'_> {
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let last = element.attempts.last();
    Row::new([
        Cell::from(element.id.as_str()),
        Cell::from(state_span(&element.state)),
        right(last.map_or("-".to_owned(), |attempt| attempt.number.to_string())),
        Cell::from(node(element)),
        right(last.map_or("-".to_owned(), |attempt| status::attempt_took(attempt, now_ms))),
        Cell::from(last.map_or_else(String::new, |attempt| plain(&attempt.summary))),
    ])
}
