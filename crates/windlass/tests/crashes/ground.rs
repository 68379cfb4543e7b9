//! What really happened, as the tasks themselves wrote it down outside of Windlass.
//!
//! Each task adds a line at its start and at its end, each in one write at the end of one file, so
//! the order of lines is the order of events. And for all its life it holds a lock named for its
//! element, which the kernel frees with the last process of the attempt: where a second attempt
//! lives at the same time, it finds the lock taken and says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use proto::job::{Job, Task, Variable};
use tempfile::TempDir;

/// `SCRIPT LINES SECONDS HOW`: writes so many lines, sleeps, and ends with a code, by a signal
/// (`KILL`), or with the remainder of its index (`index`). With `first` it sleeps in its first
/// attempt alone and ends with 0.
const SCRIPT: &str = r#"
exec 9>>"$GROUND/$WINDLASS_ELEMENT"
flock -n 9 || alone=no
say() {
    read -r up _ </proc/uptime
    printf '%s %s %s %s %s %s %s %s\n' "$1" "$WINDLASS_RUN" "$WINDLASS_INDEX" \
        "$WINDLASS_ATTEMPT" "$WINDLASS_FENCE" $$ "$up" "${alone:-yes}" >>"$GROUND/truth"
}
say start
if [ "$1" != 0 ]; then seq 1 "$1"; fi
echo "$WINDLASS_INDEX" >&2
case $3$WINDLASS_ATTEMPT in
    first1) sleep "$2" ;;
    first*) ;;
    *) if [ "$2" != 0 ]; then sleep "$2"; fi ;;
esac
say end
case $3 in
    first) exit 0 ;;
    KILL) kill -KILL $$ ;;
    index) exit $((WINDLASS_INDEX % 3)) ;;
    *) exit "$3" ;;
esac
"#;

/// The directory of the truth.
pub(crate) struct Ground {
    dir: TempDir,
}

/// One line that a task wrote.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) start: bool,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) pid: u64,
    /// Seconds since the machine started, to the hundredth.
    pub(crate) boot_s: f64,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        for tool in ["flock", "seq", "sleep"] {
            let there = Command::new(tool).arg("--version").output();
            assert!(there.is_ok(), "`{tool}` is not there: install util-linux and coreutils");
        }
        Ground { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// A job of one task that writes so many lines, sleeps, and ends as told.
    pub(crate) fn job(&self, lines: u32, seconds: f64, how: &str) -> Job {
        let words = ["sh", "-c", SCRIPT, "task", &lines.to_string(), &seconds.to_string(), how];
        let ground = self.path().into_os_string().into_string().unwrap();
        let mut job = job(&words);
        job.tasks[0].env.push(Variable { name: "GROUND".to_owned(), value: ground });
        job
    }

    /// A job of one task that waits in a shell for [`Ground::open_gate`], then does the rest.
    pub(crate) fn gated(&self, rest: &str) -> Job {
        let gate = self.path().join("gate");
        let wait = format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display());
        job(&["sh", "-c", &format!("{wait}; {rest}")])
    }

    pub(crate) fn open_gate(&self) {
        std::fs::write(self.path().join("gate"), "").unwrap();
    }

    /// What the tasks have written, in its order, by run and index.
    pub(crate) fn truth(&self) -> BTreeMap<(u64, u32), Vec<Line>> {
        let text = std::fs::read_to_string(self.path().join("truth")).unwrap_or_default();
        let mut truth: BTreeMap<_, Vec<Line>> = BTreeMap::new();
        for text in text.lines() {
            let words: Vec<&str> = text.split(' ').collect();
            let [what, run, index, attempt, fence, pid, boot_s, alone] = words[..] else {
                panic!("a damaged line: {text:?}");
            };
            assert_eq!(alone, "yes", "two attempts of an element live at once: {text}");
            let line = Line {
                start: what == "start",
                attempt: attempt.parse().unwrap(),
                fence: fence.parse().unwrap(),
                pid: pid.parse().unwrap(),
                boot_s: boot_s.parse().unwrap(),
            };
            truth.entry((run.parse().unwrap(), index.parse().unwrap())).or_default().push(line);
        }
        truth
    }
}

/// What the script writes to stdout for so many lines.
pub(crate) fn stdout(lines: u32) -> Vec<u8> {
    (1..=lines).map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

/// A job of one task.
pub(crate) fn job(command: &[&str]) -> Job {
    let spec = model::JobSpec {
        namespace: "default".to_owned(),
        owner: "ann".to_owned(),
        actor: "user:ann".to_owned(),
        origin: "test".to_owned(),
        tasks: vec![model::TaskSpec {
            resources: model::Resources { cpu_milli: 500, memory_bytes: 0 },
            ..model::TaskSpec::new(command.iter().map(|word| (*word).to_owned()).collect())
        }],
        ..model::JobSpec::default()
    };
    Job::from(&spec)
}

/// The one task of a job.
pub(crate) fn task(job: &mut Job) -> &mut Task {
    &mut job.tasks[0]
}
