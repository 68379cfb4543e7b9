//! The state as a picture: what is where. It is the same for the same state and size.

mod run;
mod runs;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::state::{Followed, Prompt, State};
use crate::show::color::{self, Tone};
use crate::show::table::cut;

const HELP: &str = "\
up, down, j, k   select
page up, down    further
g, G             first, last
enter            open a run, then an element's output
l                show the output of what is selected
c                cancel it, after a question
/                show only runs with these words
esc, left        back
q                leave";

/// Draws all of it.
pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    let rows = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(rows).areas(area);
    header(state).render(head, buffer);
    match (&state.output, &state.run) {
        (Some(output), _) => followed(output, body, buffer),
        (None, Some(opened)) => run::render(state, opened, body, buffer),
        (None, None) => runs::render(state, body, buffer),
    }
    footer(state).render(foot, buffer);
    if state.prompt == Prompt::Help {
        help(body, buffer);
    }
}

fn header(state: &State) -> Line<'_> {
    let mut spans = vec![Span::styled("windlass top", Modifier::BOLD), Span::raw("  ")];
    match (&state.lost, &state.look) {
        (Some(why), _) => spans.push(Span::styled(why.as_str(), style(Tone::Bad))),
        (None, None) => spans.push(Span::raw(format!("asking the node at {}", state.addr))),
        (None, Some(look)) => {
            let server = &look.server;
            let (running, queued) = (server.tasks_running, server.tasks_queued);
            spans.push(Span::raw(format!(
                "{} at {}   {running} running   {queued} queued",
                server.node_name, state.addr
            )));
        }
    }
    Line::from(spans)
}

fn footer(state: &State) -> Line<'_> {
    match &state.prompt {
        Prompt::Filter => Line::from(format!("/{}_   enter keeps it, esc clears it", state.filter)),
        Prompt::Cancel(id) => {
            Line::styled(format!("cancel `{id}`? y: yes, any other key: no"), Modifier::REVERSED)
        }
        Prompt::None | Prompt::Help => match (&state.said, state.output.is_some(), &state.run) {
            (Some(said), ..) => Line::styled(said.as_str(), style(Tone::Odd)),
            (None, true, _) => Line::from("esc back  up down scroll  c cancel  ? help  q quit"),
            (None, false, Some(_)) => {
                Line::from("esc back  enter, l output  c cancel  ? help  q quit")
            }
            (None, false, None) => {
                Line::from("enter open  l output  c cancel  / filter  ? help  q quit")
            }
        },
    }
}

fn followed(output: &Followed, area: Rect, buffer: &mut Buffer) {
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let state = match (output.back, output.ended) {
        (0, false) => "follows".to_owned(),
        (0, true) => "ended".to_owned(),
        (back, _) => format!("{back} lines below"),
    };
    Line::styled(format!("output of {}   {state}", output.id), Modifier::REVERSED)
        .render(title, buffer);
    if output.lines.len() == 0 {
        let why = if output.ended { "it wrote nothing" } else { "nothing is written yet" };
        Line::styled(why, style(Tone::Quiet)).render(body, buffer);
        return;
    }
    let lines = output.lines.window(usize::from(body.height), output.back);
    let lines: Vec<_> =
        lines.iter().map(|line| Line::from(cut(line, usize::from(body.width)))).collect();
    Paragraph::new(lines).render(body, buffer);
}

fn help(area: Rect, buffer: &mut Buffer) {
    let (width, height) = (58.min(area.width), 11.min(area.height));
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(area, buffer);
    Paragraph::new(HELP).block(Block::bordered().title(" keys ")).render(area, buffer);
}

/// A word in the tone of its state.
fn state_span(state: &str) -> Span<'_> {
    Span::styled(state, style(color::of_state(state)))
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Busy => Style::new().fg(Color::Cyan),
        Tone::Odd => Style::new().fg(Color::Yellow),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Plain => Style::new(),
    }
}

#[cfg(test)]
mod tests;
