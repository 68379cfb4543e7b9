//! Which elements of a run are shown, and in which order: what failed, what is under way, the rest.
//!
//! A node gives elements by task and index. Of an array that fits nowhere near a screen it is asked
//! for those that matter first, so that an answer stays as small as what is shown.

use proto::api::{ElementStatus, GetRunRequest, GetRunResponse};

use crate::client::Client;
use crate::failure::Failure;
use crate::show::table::screen_height;

/// Where no screen says how much it has room for.
pub(super) const PIPED: u32 = 50;
/// More than anybody reads.
pub(super) const ALL: u32 = 10_000;
/// Lines of a screen for all that is not an element: the run's facts, the heading, notes, a prompt.
const OTHER_LINES: usize = 14;
/// What a screen shows however small it is.
const ROOM_MIN: usize = 5;

/// States in the order they are shown in; what is in none comes last.
const RANKS: [&[&str]; 2] =
    [&["failed", "timed_out", "lost", "dead", "unknown"], &["running", "stopping", "scheduled"]];

/// The run, with at most `limit` elements in one of these states, by task and index.
pub(super) async fn ask(
    client: &mut Client,
    id: &str,
    limit: u32,
    states: &[String],
) -> Result<GetRunResponse, Failure> {
    let request = GetRunRequest { id: id.to_owned(), limit, states: states.to_vec() };
    let answer = client.rpc.get_run(request).await;
    Ok(answer.map_err(|status| client.failure(&format!("show `{id}`"), &status))?.into_inner())
}

/// The run, with as many elements as there is room for, what matters most first.
pub(super) async fn worst_first(
    client: &mut Client,
    id: &str,
    room: Option<u32>,
    states: &[String],
) -> Result<GetRunResponse, Failure> {
    let limit = room.unwrap_or_else(|| of_screen(screen_height()));
    let mut answer = ask(client, id, limit, states).await?;
    let mut elements = std::mem::take(&mut answer.elements);
    if states.is_empty() && (elements.len() as u64) < answer.elements_total {
        let mut first: Vec<ElementStatus> = Vec::new();
        for rank in RANKS {
            let states: Vec<_> = rank.iter().map(|state| (*state).to_owned()).collect();
            let left = limit.saturating_sub(first.len() as u32);
            if left > 0 {
                first.extend(ask(client, id, left, &states).await?.elements);
            }
        }
        // By now some may be in another state: the earlier answer is the one that is shown.
        let known: std::collections::HashSet<_> = first.iter().map(|one| one.id.clone()).collect();
        first.extend(elements.into_iter().filter(|one| !known.contains(&one.id)));
        elements = first;
    }
    elements.sort_by_key(|element| rank(&element.state));
    elements.truncate(limit as usize);
    answer.elements = elements;
    Ok(answer)
}

fn rank(state: &str) -> usize {
    RANKS.iter().position(|states| states.contains(&state)).unwrap_or(RANKS.len())
}

/// Elements that a screen of so many lines has room for.
fn of_screen(lines: Option<usize>) -> u32 {
    let room = lines.map(|lines| lines.saturating_sub(OTHER_LINES).max(ROOM_MIN));
    room.and_then(|room| u32::try_from(room).ok()).unwrap_or(PIPED).min(ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_before_what_runs() {
        let mut states = ["succeeded", "running", "queued", "failed", "stopping", "timed_out"];
        states.sort_by_key(|state| rank(state));
        assert_eq!(states, ["failed", "timed_out", "running", "stopping", "succeeded", "queued"]);
        let known = |state: &&str| state.parse::<model::TaskState>().is_ok();
        assert!(RANKS.iter().flat_map(|states| states.iter()).all(known));
    }

    #[test]
    fn a_screen_keeps_room_for_the_heading() {
        assert_eq!(of_screen(Some(24)), 10);
        assert_eq!(of_screen(Some(60)), 46);
        assert_eq!(of_screen(Some(3)), 5);
        assert_eq!(of_screen(None), 50);
    }
}
