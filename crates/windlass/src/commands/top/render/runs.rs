//! The first view: nodes, and the runs below them.

use model::text;
use proto::api::{NodeStatus, RunSummary};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget};

use super::super::state::State;
use super::{state_span, style};
use crate::commands::ps;
use crate::show::color::Tone;
use crate::show::table::{cut, name_width, plain, width};

/// Nodes take no more than this part of the screen.
const NODES_PART: u16 = 4;
const BAR: usize = 12;
/// From this width on there is room for bars.
const BAR_FROM: u16 = 100;

pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    let nodes = state.look.as_ref().map_or(&[][..], |look| &look.nodes);
    let height = u16::try_from(nodes.len()).unwrap_or(u16::MAX).min(area.height / NODES_PART);
    let rows = [Constraint::Length(height), Constraint::Length(1), Constraint::Fill(1)];
    let [top, _, rest] = Layout::vertical(rows).areas(area);
    let most = name_width(usize::from(area.width));
    let name = nodes.iter().map(|node| width(&node.name)).max().unwrap_or(0).min(most);
    let bars = area.width >= BAR_FROM;
    let lines: Vec<_> = nodes.iter().map(|one| node(one, name, bars)).collect();
    Paragraph::new(lines).render(top, buffer);
    runs(state, rest, buffer);
}

fn node(node: &NodeStatus, room: usize, bars: bool) -> Line<'_> {
    let mut name = cut(&node.name, room);
    name.push_str(&" ".repeat(room.saturating_sub(width(&name)) + 2));
    let (has, taken) = (node.capacity.unwrap_or_default(), node.reserved.unwrap_or_default());
    let free = has.cpu_milli.saturating_sub(taken.cpu_milli);
    let full = (BAR as u64 * taken.cpu_milli).checked_div(free + taken.cpu_milli).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    let bar = match bars {
        true => format!("[{}{}] ", "#".repeat(full), " ".repeat(BAR - full)),
        false => String::new(),
    };
    Line::from(vec![
        Span::styled(name, Modifier::BOLD),
        state_span(&node.state),
        Span::raw(format!(
            "  cpus {bar}{}/{}  memory {}/{}  running {}  waiting {}",
            text::cpus(taken.cpu_milli),
            text::cpus(has.cpu_milli),
            text::size(taken.memory_bytes),
            text::size(has.memory_bytes),
            node.running,
            node.waiting,
        )),
    ])
}

fn runs(state: &State, area: Rect, buffer: &mut Buffer) {
    let shown = state.runs();
    if shown.is_empty() {
        let why = match (&state.look, state.filter.is_empty()) {
            (None, _) => "",
            (Some(_), true) => "no runs yet: `windlass run -- echo hello` makes one",
            (Some(_), false) => "no run has these words; esc shows all",
        };
        Line::styled(why, style(Tone::Quiet)).render(area, buffer);
        return;
    }
    let title = match state.filter.as_str() {
        "" => "COMMAND".to_owned(),
        filter => format!("COMMAND (only `{filter}`)"),
    };
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let head = Row::new([
        right("RUN".into()),
        Cell::from("NAME"),
        Cell::from("STATE"),
        right("DONE".into()),
        right("TOOK".into()),
        Cell::from(title),
    ]);
    let names = name_width(usize::from(area.width));
    let rows = shown.iter().map(|run| row(run, names, state.now_ms));
    let widest = |cell: &dyn Fn(&RunSummary) -> String, head: &str| {
        let widths = shown.iter().map(|run| width(&cell(run)));
        Constraint::Length(widths.max().unwrap_or(0).max(head.len()) as u16)
    };
    let widths = [
        widest(&|run| run.run.to_string(), "RUN"),
        widest(&|run| name(run, names), "NAME"),
        Constraint::Length(9),
        widest(&done, "DONE"),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths)
        .header(head.style(Modifier::BOLD))
        .row_highlight_style(Modifier::REVERSED);
    let mut at = TableState::default().with_selected(Some(state.position()));
    StatefulWidget::render(table, area, buffer, &mut at);
}

fn row(run: &RunSummary, names: usize, now_ms: u64) -> Row<'_> {
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    Row::new([
        right(run.run.to_string()),
        Cell::from(name(run, names)),
        Cell::from(state_span(&run.state)),
        right(done(run)),
        right(ps::took(run, now_ms)),
        Cell::from(plain(&run.command)),
    ])
}

fn name(run: &RunSummary, most: usize) -> String {
    if run.name.is_empty() { "-".to_owned() } else { cut(&run.name, most) }
}

fn done(run: &RunSummary) -> String {
    format!("{}/{}", ps::done(run), run.elements)
}
