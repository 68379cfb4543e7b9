//! The environment of a task, exactly: what it finds is what this module lists and nothing else.
//!
//! | variable | value |
//! | --- | --- |
//! | `PATH` | [`PATH`], unless the job sets it |
//! | `HOME`, `USER`, `LOGNAME`, `SHELL` | of the user it runs as, from `/etc/passwd` |
//! | `LANG` | `C.UTF-8` |
//! | the job's own | as given; they win over those above |
//! | `WINDLASS_JOB`, `WINDLASS_RUN`, `WINDLASS_TASK`, `WINDLASS_NODE_NAME`, … | from the daemon; they win over the job's |
//! | `WINDLASS_NODE_ID` | the node's UUID; with it processes are found again where there are no cgroups |
//! | `WINDLASS_ELEMENT` | the element's UUID |
//! | `WINDLASS_INDEX`, `WINDLASS_ATTEMPT`, `WINDLASS_FENCE` | the attempt's own |
//! | `WINDLASS_ITEM` | the element's item, where its array has a list of them |
//!
//! `TMPDIR` is not set. Besides: a session of its own, standard input `/dev/null`, output and
//! errors in pipes, no other descriptor; the job's working directory or `/`; umask 022; every
//! signal at its default and none blocked; `oom_score_adj` 0; the limits of the supervisor but
//! for open files, where the soft limit is [`crate::spawn::FILES_SOFT`].

use model::NodeId;

use crate::user::User;

/// Where programs are looked for unless a job says otherwise.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Marks every process of a node's tasks, unless one clears its environment.
pub const NODE_ID: &str = "WINDLASS_NODE_ID";
/// The element's UUID.
pub const ELEMENT: &str = "WINDLASS_ELEMENT";
/// The attempt's number.
pub const ATTEMPT: &str = "WINDLASS_ATTEMPT";

/// The element's item.
pub const ITEM: &str = "WINDLASS_ITEM";

/// The variables that differ from attempt to attempt: UUID, index, number, fence and item.
pub(crate) const ATTEMPT_NAMES: [&str; 5] =
    [ELEMENT, "WINDLASS_INDEX", ATTEMPT, "WINDLASS_FENCE", ITEM];

/// What all attempts of a task find, each name once, later ones winning over earlier ones.
pub fn shared(
    user: &User,
    node_id: NodeId,
    job: impl Iterator<Item = (String, String)>,
    daemon: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let base = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", &user.shell),
        ("LANG", "C.UTF-8"),
    ];
    let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let own = [(NODE_ID.to_owned(), node_id.to_string())];
    let mut env: Vec<(String, String)> = Vec::new();
    for (name, value) in base.into_iter().chain(job).chain(daemon).chain(own) {
        if ATTEMPT_NAMES.contains(&name.as_str()) {
            continue;
        }
        match env.iter_mut().find(|(taken, _)| *taken == name) {
            Some((_, earlier)) => *earlier = value,
            None => env.push((name, value)),
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_wins_and_every_name_is_there_once() {
        let user = User { home: "/h".into(), name: "ann".into(), ..User::own() };
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let job = own(&[("HOME", "/mine"), ("X", "1"), ("WINDLASS_FENCE", "forged")]);
        let daemon = own(&[("WINDLASS_RUN", "7"), ("X", "2")]);
        let env = shared(&user, NodeId::default(), job.into_iter(), daemon.into_iter());
        let get = |name: &str| -> Vec<&str> {
            env.iter().filter(|(n, _)| n == name).map(|(_, v)| &**v).collect()
        };
        assert_eq!(get("HOME"), ["/mine"]);
        assert_eq!(get("X"), ["2"]);
        assert_eq!(get("USER"), ["ann"]);
        assert_eq!(get("WINDLASS_RUN"), ["7"]);
        assert_eq!(get("WINDLASS_FENCE"), Vec::<&str>::new());
    }
}
