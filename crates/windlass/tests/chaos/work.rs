//! What is submitted, and what must come of each.
//!
//! A task writes its start and its end down outside of the cluster, each in one write at the end of
//! one file, so that the order of lines is the order of events. For all its life it holds a lock
//! named for its element, which the kernel frees with the last process of the attempt: where a
//! second attempt lives at the same time, it finds the lock taken and says so.

use std::path::Path;

use serde_json::{Value, json};

use crate::chance::Chance;

/// `SCRIPT LINES SECONDS HOW TERM`: writes so many lines, sleeps in their middle, and ends with a
/// code, by a signal (`KILL`), or with the remainder of its index (`index`). With `deaf` it does not
/// hear SIGTERM.
const SCRIPT: &str = r#"
[ "$4" = deaf ] && trap '' TERM
exec 9>>"$GROUND/locks/$WINDLASS_ELEMENT"
flock -n 9 || alone=no
say() {
    read -r up _ </proc/uptime
    printf '%s %s %s %s %s %s %s %s\n' "$1" "$WINDLASS_RUN" "$WINDLASS_INDEX" "$WINDLASS_ATTEMPT" \
        "$WINDLASS_FENCE" "$WINDLASS_NODE_NAME" "$up" "${alone:-yes}" >>"$GROUND/truth"
}
write() { seq -f "$WINDLASS_RUN.$WINDLASS_INDEX %.0f" "$1" "$2"; }
say start
write 1 "$1"
echo "$WINDLASS_RUN.$WINDLASS_INDEX half" >&2
[ "$2" = 0 ] || sleep "$2"
write $(($1 + 1)) $(($1 * 2))
say end
case $3 in
    KILL) kill -KILL $$ ;;
    index) exit $((WINDLASS_INDEX % 3)) ;;
    *) exit "$3" ;;
esac
"#;
/// Far more than any task here can lose.
const LOSSES_MAX: u32 = 1_000;

/// One job of one task.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) indices: Vec<u32>,
    /// Half of what it writes to stdout.
    lines: u32,
    seconds: f64,
    is_deaf: bool,
    /// What it reserves of a processor.
    cpu_milli: u32,
    pub(crate) end: End,
}

/// How each element must end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Code(u8),
    /// A code that its job calls a success.
    Widened(u8),
    Killed,
    /// The code is the remainder of its index by three.
    ByIndex,
    /// It was told to stop, whether or not it had started.
    Canceled,
}

impl Work {
    /// Any work.
    pub(crate) fn any(chance: &mut Chance) -> Work {
        let mut work = Work {
            indices: vec![0],
            lines: 2,
            seconds: 0.0,
            is_deaf: false,
            cpu_milli: 500,
            end: End::Code(0),
        };
        match chance.from(0, 18) {
            0..=2 => {}
            3 => work.end = End::Code(chance.from(1, 100) as u8),
            4 => work.end = End::Killed,
            5 => work.end = End::Widened(chance.from(1, 100) as u8),
            6 | 7 => work.lines = chance.from(2_000, 20_000) as u32,
            8..=10 => {
                work.indices = (1..=chance.from(2, 9) as u32).collect();
                work.end = End::ByIndex;
                work.seconds = chance.from(0, 20) as f64 / 10.0;
            }
            11 | 12 => work.seconds = chance.from(5, 60) as f64 / 10.0,
            // Far longer than a lease and its margin: where it is not ended, its successor meets it.
            13..=16 => {
                work.seconds = chance.from(150, 300) as f64 / 10.0;
                work.is_deaf = chance.from(0, 2) == 0;
                work.cpu_milli = 100;
            }
            _ => (work.end, work.seconds) = (End::Canceled, 600.0),
        }
        work
    }

    /// As REST takes it.
    pub(crate) fn job(&self, ground: &Path) -> Value {
        let how = match self.end {
            End::Code(code) | End::Widened(code) => code.to_string(),
            End::Killed => "KILL".to_owned(),
            End::ByIndex => "index".to_owned(),
            End::Canceled => "0".to_owned(),
        };
        let hears = if self.is_deaf { "deaf" } else { "hears" };
        let (lines, seconds) = (self.lines.to_string(), self.seconds.to_string());
        let command = ["sh", "-c", SCRIPT, "task", &lines, &seconds, &how, hears];
        let mut task = json!({
            "command": command, "env": { "GROUND": ground },
            "resources": { "cpu_milli": self.cpu_milli, "memory_bytes": 0 }, "losses_max": LOSSES_MAX,
        });
        if let [first, .., last] = self.indices[..] {
            task["array"] = json!({ "first": first, "last": last, "step": 1 });
        }
        if let End::Widened(code) = self.end {
            task["success_codes"] = json!([code]);
        }
        json!({ "tasks": [task] })
    }

    /// What an element writes to stdout and stderr until its own end.
    pub(crate) fn output(&self, run: u64, index: u32) -> [Vec<u8>; 2] {
        let lines = 1..=self.lines * 2;
        let stdout: String = lines.map(|line| format!("{run}.{index} {line}\n")).collect();
        [stdout.into_bytes(), format!("{run}.{index} half\n").into_bytes()]
    }

    /// What the run exits with: an array as the failed element of the lowest index.
    pub(crate) fn exit_code(&self) -> Option<i64> {
        let code = |index: &u32| match self.end.of(*index) {
            ("succeeded", _) => Some(0),
            (_, code) => code,
        };
        match self.end {
            End::Canceled => None,
            _ => Some(self.indices.iter().filter_map(code).find(|code| *code != 0).unwrap_or(0)),
        }
    }
}

impl End {
    /// The state of an element, and its exit code, or 128 and its signal; `None` where that is open.
    pub(crate) fn of(self, index: u32) -> (&'static str, Option<i64>) {
        let by_code = |code: i64| (if code == 0 { "succeeded" } else { "failed" }, Some(code));
        match self {
            End::Code(code) => by_code(code.into()),
            End::Widened(code) => ("succeeded", Some(code.into())),
            End::Killed => ("failed", Some(128 + 9)),
            End::ByIndex => by_code((index % 3).into()),
            End::Canceled => ("canceled", None),
        }
    }
}
