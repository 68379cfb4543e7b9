//! What the screen shows, and what a key or an answer makes of it. No clock, socket or terminal.

use proto::api::{GetRunResponse, GetServerResponse, NodeStatus, OutputChunk, RunSummary};

use super::lines::Lines;

/// Characters of a filter.
const FILTER_MAX: usize = 60;
/// Rows that a page key moves.
const PAGE: usize = 15;

/// What comes in.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// The time, in Unix milliseconds.
    Now(u64),
    Looked(Box<Look>),
    /// The node did not answer, and why.
    Lost(String),
    Output(OutputChunk),
    OutputEnded,
    /// What became of a cancel.
    Said(String),
}

/// What the node said to one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) server: GetServerResponse,
    /// Latest first.
    pub(super) runs: Vec<RunSummary>,
    pub(super) nodes: Vec<NodeStatus>,
    /// The run that is open, if one is.
    pub(super) run: Option<GetRunResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Erase,
    Char(char),
    Quit,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// Ask the node now, with the run that is open.
    Look(Option<u64>),
    /// Follow the output of this id, instead of any other.
    Follow(String),
    Unfollow,
    Cancel(String),
}

/// A run that is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened {
    pub(super) run: u64,
    /// `None` until the node has told.
    pub(super) told: Option<GetRunResponse>,
    pub(super) selected: usize,
}

/// Output that is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    pub(super) id: String,
    pub(super) lines: Lines,
    /// How many lines are below the screen.
    pub(super) back: usize,
    pub(super) ended: bool,
}

/// What the last line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Prompt {
    #[default]
    None,
    Filter,
    Cancel(String),
    Help,
}

/// All that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) addr: String,
    pub(super) now_ms: u64,
    /// `None` until the node has answered once.
    pub(super) look: Option<Box<Look>>,
    pub(super) lost: Option<String>,
    /// The run, so that it stays when others come before it.
    pub(super) selected: Option<u64>,
    pub(super) filter: String,
    pub(super) prompt: Prompt,
    pub(super) run: Option<Opened>,
    pub(super) output: Option<Followed>,
    pub(super) said: Option<String>,
}

impl State {
    pub(super) fn new(addr: String) -> State {
        State { addr, ..Default::default() }
    }

    /// Takes in what came; what is to be done about it.
    pub(super) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Key(key) => return self.key(key),
            Input::Resized => {}
            Input::Now(now_ms) => self.now_ms = now_ms,
            Input::Looked(look) => self.looked(look),
            Input::Lost(why) => self.lost = Some(why),
            Input::Said(what) => self.said = Some(what),
            Input::Output(chunk) => {
                if let Some(output) = &mut self.output {
                    let before = output.lines.len();
                    output.lines.add(&chunk);
                    // Whoever reads further up is not moved.
                    if output.back > 0 {
                        output.back += output.lines.len().saturating_sub(before);
                    }
                }
            }
            Input::OutputEnded => {
                if let Some(output) = &mut self.output {
                    output.ended = true;
                }
            }
        }
        Vec::new()
    }

    /// The run that is open.
    pub(super) fn opened(&self) -> Option<u64> {
        self.run.as_ref().map(|opened| opened.run)
    }

    /// The runs that the filter leaves, latest first.
    pub(super) fn runs(&self) -> Vec<&RunSummary> {
        let wanted = self.filter.to_lowercase();
        let matches = |run: &&RunSummary| {
            wanted.is_empty()
                || [&run.name, &run.command, &run.state, &run.run.to_string()]
                    .iter()
                    .any(|text| text.to_lowercase().contains(&wanted))
        };
        self.look.iter().flat_map(|look| &look.runs).filter(matches).collect()
    }

    /// Where the selected run stands among those that are shown.
    pub(super) fn position(&self) -> usize {
        let selected = self.selected;
        self.runs().iter().position(|run| Some(run.run) == selected).unwrap_or(0)
    }

    fn looked(&mut self, mut look: Box<Look>) {
        self.lost = None;
        let told = look.run.take();
        self.look = Some(look);
        if let (Some(opened), Some(told)) = (&mut self.run, told)
            && told.run.as_ref().is_some_and(|run| run.run == opened.run)
        {
            opened.selected = opened.selected.min(told.elements.len().saturating_sub(1));
            opened.told = Some(told);
        }
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        self.said = None;
        match (&mut self.prompt, key) {
            (_, Key::Quit) => return vec![Effect::Quit],
            (Prompt::Filter, key) => {
                self.filter_key(key);
                return Vec::new();
            }
            (Prompt::Cancel(id), key) => {
                let id = std::mem::take(id);
                self.prompt = Prompt::None;
                return match key {
                    Key::Char('y') => vec![Effect::Cancel(id), Effect::Look(self.opened())],
                    _ => Vec::new(),
                };
            }
            (Prompt::Help, _) => {
                self.prompt = Prompt::None;
                return Vec::new();
            }
            (Prompt::None, _) => {}
        }
        match key {
            Key::Char('q') => vec![Effect::Quit],
            Key::Char('?') => {
                self.prompt = Prompt::Help;
                Vec::new()
            }
            Key::Char('/') if self.run.is_none() && self.output.is_none() => {
                self.prompt = Prompt::Filter;
                Vec::new()
            }
            Key::Char('c') => {
                self.prompt = self.pointed().map_or(Prompt::None, Prompt::Cancel);
                Vec::new()
            }
            Key::Char('l') => self.follow(),
            Key::Open => self.open(),
            Key::Back => self.back(),
            key => {
                self.walk(key);
                Vec::new()
            }
        }
    }

    fn filter_key(&mut self, key: Key) {
        match key {
            Key::Char(c) if self.filter.chars().count() < FILTER_MAX => self.filter.push(c),
            Key::Erase => drop(self.filter.pop()),
            Key::Back => {
                self.filter.clear();
                self.prompt = Prompt::None;
            }
            Key::Open => self.prompt = Prompt::None,
            _ => {}
        }
    }

    /// What the cursor points at, as an id.
    fn pointed(&self) -> Option<String> {
        match (&self.output, &self.run) {
            (Some(output), _) => Some(output.id.clone()),
            (None, Some(opened)) => {
                let elements = opened.told.as_ref().map(|told| told.elements.as_slice());
                let element = elements.and_then(|elements| elements.get(opened.selected));
                Some(element.map_or(opened.run.to_string(), |element| element.id.clone()))
            }
            (None, None) => self.runs().get(self.position()).map(|run| run.run.to_string()),
        }
    }

    fn open(&mut self) -> Vec<Effect> {
        if self.output.is_some() {
            return Vec::new();
        }
        if self.run.is_some() {
            return self.follow();
        }
        let Some(run) = self.runs().get(self.position()).map(|run| run.run) else {
            return Vec::new();
        };
        self.selected = Some(run);
        self.run = Some(Opened { run, ..Default::default() });
        vec![Effect::Look(Some(run))]
    }

    fn follow(&mut self) -> Vec<Effect> {
        match (self.output.is_some(), self.pointed()) {
            (false, Some(id)) => {
                self.output = Some(Followed { id: id.clone(), ..Default::default() });
                vec![Effect::Follow(id)]
            }
            _ => Vec::new(),
        }
    }

    fn back(&mut self) -> Vec<Effect> {
        if self.output.take().is_some() {
            return vec![Effect::Unfollow];
        }
        if self.run.take().is_none() {
            self.filter.clear();
        }
        Vec::new()
    }

    fn walk(&mut self, key: Key) {
        if let Some(output) = &mut self.output {
            let most = output.lines.len().saturating_sub(1);
            // Up is towards the beginning: more lines are below.
            output.back =
                moved(most - output.back.min(most), most, key).map_or(output.back, |at| most - at);
            return;
        }
        if let Some(opened) = &mut self.run {
            let most = opened.told.as_ref().map_or(0, |told| told.elements.len()).saturating_sub(1);
            opened.selected = moved(opened.selected, most, key).unwrap_or(opened.selected);
            return;
        }
        let numbers: Vec<_> = self.runs().iter().map(|run| run.run).collect();
        if let Some(at) = moved(self.position(), numbers.len().saturating_sub(1), key) {
            self.selected = numbers.get(at).copied();
        }
    }
}

/// Where a key moves from row `at`, of rows up to `most`.
fn moved(at: usize, most: usize, key: Key) -> Option<usize> {
    let to = match key {
        Key::Up | Key::Char('k') => at.saturating_sub(1),
        Key::Down | Key::Char('j') => at + 1,
        Key::PageUp => at.saturating_sub(PAGE),
        Key::PageDown => at + PAGE,
        Key::First | Key::Char('g') => 0,
        Key::Last | Key::Char('G') => most,
        _ => return None,
    };
    Some(to.min(most))
}

#[cfg(test)]
mod tests;
