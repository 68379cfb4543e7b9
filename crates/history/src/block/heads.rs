//! Heads of runs: their times in a row each, and what they have in common once a block.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Keep, Retention, RunId};

use super::{Key, Kind, Table};
use crate::bytes::{In, Out};
use crate::codes;
use crate::fact::{Profile, RunHead, States};

/// The table of heads, by run.
pub(crate) struct Heads;

impl Table for Heads {
    type Row = RunHead;
    const KIND: Kind = Kind::Heads;
    /// The first page of a list is what everybody looks at.
    const IS_KEPT: bool = true;

    fn key(row: &RunHead) -> Key {
        Key::of_run(row.run.0)
    }

    fn states(row: &RunHead) -> States {
        States::default().with(Some(row.profile.state))
    }

    fn weight(row: &RunHead) -> usize {
        let profile = &row.profile;
        let tasks: usize = profile.counts.iter().map(|counts| 16 + 16 * counts.len()).sum();
        let texts = [&profile.namespace, &profile.owner, &profile.name, &profile.command];
        let labels: usize = profile.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        let texts: usize = texts.into_iter().map(String::len).sum();
        std::mem::size_of::<RunHead>() + std::mem::size_of::<Profile>() + tasks + texts + labels
    }

    fn encode(rows: &[&RunHead]) -> Vec<u8> {
        let mut profiles: Vec<Vec<u8>> = Vec::new();
        let mut numbers: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut body = Out::default();
        let (mut run, mut submitted_ms) = (0, 0);
        for row in rows {
            let mut profile = Out::default();
            write_profile(&mut profile, &row.profile);
            let next = profiles.len() as u64;
            let number = *numbers.entry(profile.0.clone()).or_insert(next);
            if number == next {
                profiles.push(profile.0);
            }
            body.number(number);
            body.number(row.run.0.wrapping_sub(run));
            body.step(submitted_ms, row.submitted_ms);
            let submitted_us = row.submitted_ms.wrapping_mul(1000);
            let started_us = if row.started_us > 0 { row.started_us } else { submitted_us };
            body.number(u64::from(row.started_us > 0));
            body.step(submitted_us, started_us);
            body.step(started_us / 1000, row.ended_ms);
            (run, submitted_ms) = (row.run.0, row.submitted_ms);
        }
        let mut out = Out::default();
        out.number(profiles.len() as u64);
        profiles.iter().for_each(|profile| out.bytes(profile));
        out.0.extend_from_slice(&body.0);
        out.0
    }

    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<RunHead>> {
        let mut bytes = In(bytes);
        let count = bytes.count()?;
        let profiles: Vec<Arc<Profile>> = (0..count)
            .map(|_| Some(Arc::new(read_profile(bytes.bytes()?)?)))
            .collect::<Option<_>>()?;
        let (mut run, mut submitted_ms) = (0u64, 0);
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            let profile = profiles.get(usize::try_from(bytes.number()?).ok()?)?.clone();
            run = run.wrapping_add(bytes.number()?);
            submitted_ms = bytes.step(submitted_ms)?;
            let has_started = bytes.number()? > 0;
            let started_us = bytes.step(submitted_ms.wrapping_mul(1000))?;
            let ended_ms = bytes.step(started_us / 1000)?;
            found.push(RunHead {
                run: RunId(run),
                submitted_ms,
                started_us: if has_started { started_us } else { 0 },
                ended_ms,
                profile,
            });
        }
        bytes.is_empty().then_some(found)
    }
}

fn write_profile(out: &mut Out, profile: &Profile) {
    let Profile {
        namespace,
        owner,
        name,
        labels,
        command,
        state,
        exit_code,
        summary,
        canceled,
        elements,
        counts,
        rerun_of,
        retention,
    } = profile;
    [namespace, owner, name, command, summary].into_iter().for_each(|text| out.text(text));
    out.number(labels.len() as u64);
    for (key, value) in labels {
        out.text(key);
        out.text(value);
    }
    out.number(u64::from(codes::of_state(*state)));
    out.step(0, i64::from(*exit_code) as u64);
    codes::write_because(out, canceled.as_ref());
    out.number(*elements);
    out.number(counts.len() as u64);
    for task in counts {
        out.number(task.len() as u64);
        for (state, count) in task {
            out.number(u64::from(codes::of_state(*state)));
            out.number(*count);
        }
    }
    out.number(*rerun_of);
    out.number(u64::from(retention.is_some()));
    for keep in retention.iter().flat_map(|kept| [kept.success, kept.failure]) {
        out.number(u64::from(keep.days));
        out.number(u64::from(keep.runs));
    }
}

fn read_profile(bytes: &[u8]) -> Option<Profile> {
    let mut bytes = In(bytes);
    let (namespace, owner, name) = (bytes.text()?, bytes.text()?, bytes.text()?);
    let (command, summary) = (bytes.text()?, bytes.text()?);
    let label = |bytes: &mut In<'_>| Some((bytes.text()?, bytes.text()?));
    let labels = (0..bytes.count()?).map(|_| label(&mut bytes)).collect::<Option<_>>()?;
    let state = codes::state(bytes.number()?)?;
    let exit_code = i32::try_from(bytes.step(0)? as i64).ok()?;
    let canceled = codes::read_because(&mut bytes)?.map(|because| (*because).clone());
    let elements = bytes.number()?;
    let one = |bytes: &mut In<'_>| Some((codes::state(bytes.number()?)?, bytes.number()?));
    let task = |bytes: &mut In<'_>| (0..bytes.count()?).map(|_| one(bytes)).collect();
    let counts = (0..bytes.count()?).map(|_| task(&mut bytes)).collect::<Option<_>>()?;
    let rerun_of = bytes.number()?;
    let keep = |bytes: &mut In<'_>| Some(Keep { days: bytes.number32()?, runs: bytes.number32()? });
    let retention = match bytes.number()? {
        0 => None,
        _ => Some(Retention { success: keep(&mut bytes)?, failure: keep(&mut bytes)? }),
    };
    bytes.is_empty().then_some(())?;
    Some(Profile {
        namespace,
        owner,
        name,
        labels,
        command,
        state,
        exit_code,
        summary,
        canceled,
        elements,
        counts,
        rerun_of,
        retention,
    })
}
