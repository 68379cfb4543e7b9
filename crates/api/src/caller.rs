//! Who calls, as the gate has found out by the token, and what that lets them do.
//!
//! Every call of [`crate::calls`] is told its caller and names the role it needs. Whose a run is
//! and who changed it follows from the token; what a request claims about it counts only where the
//! token is the data directory's own: its holder is a user of this machine, and says which.

use http::Extensions;
use model::Role;
use node::Refused;
use node::traces::SpanRef;

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, for people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The token's id; `None` for the data directory's own.
    pub token: Option<String>,
    /// Whose the runs are that are submitted with a made token.
    pub owner: String,
    /// The users a job of theirs may run as; empty: the node's own alone.
    pub run_as: Vec<String>,
    /// Where the call came from.
    pub address: String,
    /// The span of a trace of theirs in which they call.
    pub span: Option<SpanRef>,
}

impl Caller {
    /// Who brings the token of the data directory: a user of this machine who may do everything.
    pub(crate) fn of_directory() -> Caller {
        let name = "the data directory's token".to_owned();
        Caller { name, role: Role::Admin, ..Caller::default() }
    }

    /// The caller that the gate has left with a request.
    pub(crate) fn of(extensions: &Extensions) -> Result<Caller, Refused> {
        let forbidden = || Refused::Forbidden("the call has not passed the gate".to_owned());
        extensions.get::<Caller>().cloned().ok_or_else(forbidden)
    }

    /// Refuses whoever has a lower role than `what` needs.
    pub(crate) fn need(&self, role: Role, what: &str) -> Result<(), Refused> {
        if self.role >= role {
            return Ok(());
        }
        let Caller { name, role: has, address, .. } = self;
        tracing::warn!(token = name, role = %has, address, needed = %role, what, "a call was refused for its role");
        Err(Refused::Forbidden(format!(
            "the token `{name}` is a {has}'s, to {what} takes the role {role}\nhint: ask an admin of the cluster for a token with it"
        )))
    }

    /// Whether every run is theirs to change, or only those of their owner.
    pub(crate) fn may_change_all(&self) -> bool {
        self.role >= Role::Operator
    }

    /// Refuses to change a run of somebody else's to whoever may change only their own.
    pub(crate) fn need_own(&self, owner: &str, what: &str) -> Result<(), Refused> {
        if self.owner == owner { Ok(()) } else { self.need(Role::Operator, what) }
    }

    /// Who a change is committed as: `user:NAME` of this machine, or `token:NAME`.
    pub(crate) fn actor(&self, claimed: &str) -> Result<String, Refused> {
        match (&self.token, claimed) {
            (Some(_), _) => Ok(format!("token:{}", self.name)),
            (None, "") => Ok("user:api".to_owned()),
            (None, user) if user.starts_with("user:") => Ok(user.to_owned()),
            (None, other) => Err(Refused::Unfit(format!("actor: `{other}` is not `user:NAME`"))),
        }
    }

    /// Whose a run is that they submit.
    pub(crate) fn owner(&self, claimed: &str) -> String {
        match (&self.token, claimed) {
            (Some(_), _) => self.owner.clone(),
            (None, "") => "api".to_owned(),
            (None, user) => user.to_owned(),
        }
    }

    /// The user a job runs as; one that is not theirs to use is refused.
    pub(crate) fn run_as(&self, wanted: &str) -> Result<String, Refused> {
        match (&self.token, wanted, self.run_as.first()) {
            (None, ..) | (Some(_), "", None) => Ok(wanted.to_owned()),
            (Some(_), "", Some(first)) => Ok(first.clone()),
            (Some(_), user, _) if self.run_as.iter().any(|own| own == user) => Ok(user.to_owned()),
            (Some(_), user, _) => {
                let name = &self.name;
                tracing::warn!(token = name, user, "a job was refused for the user it runs as");
                Err(Refused::Forbidden(format!(
                    "the token `{name}` may not let jobs run as `{user}`\nhint: {}",
                    match &self.run_as[..] {
                        [] => "leave the user out, for the node's own".to_owned(),
                        users => format!("it may as {}", users.join(", ")),
                    }
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, run_as: &[&str]) -> Caller {
        let run_as = run_as.iter().map(|user| (*user).to_owned()).collect();
        let token = Some("id".to_owned());
        Caller { name: "ci".into(), role, token, owner: "ann".into(), run_as, ..Caller::default() }
    }

    #[test]
    fn a_role_may_what_those_before_it_may_and_no_more() {
        for (has, needed) in Role::ALL.iter().flat_map(|a| Role::ALL.map(|b| (*a, b))) {
            assert_eq!(caller(has, &[]).need(needed, "x").is_ok(), has >= needed);
        }
    }

    #[test]
    fn a_submitter_changes_their_own_runs_alone() {
        assert_eq!(caller(Role::Submitter, &[]).need_own("ann", "cancel"), Ok(()));
        assert!(caller(Role::Submitter, &[]).need_own("bob", "cancel").is_err());
        assert_eq!(caller(Role::Operator, &[]).need_own("bob", "cancel"), Ok(()));
    }

    #[test]
    fn only_the_directorys_token_may_say_who_it_is() {
        let of = |caller: Caller, claimed: &str| caller.actor(claimed).ok();
        let made = || caller(Role::Admin, &[]);
        assert_eq!(of(made(), "user:root").as_deref(), Some("token:ci"));
        assert_eq!(made().owner("root"), "ann");
        let own = Caller::of_directory;
        assert_eq!(of(own(), "user:bob").as_deref(), Some("user:bob"));
        assert_eq!(of(own(), "").as_deref(), Some("user:api"));
        // Nobody passes for a timeout or for somebody's token.
        for claimed in ["timeout", "token:ci", "schedule"] {
            assert_eq!(of(own(), claimed), None);
        }
    }

    #[test]
    fn a_job_runs_as_those_the_token_lists() {
        let of =
            |run_as: &[&str], wanted: &str| caller(Role::Submitter, run_as).run_as(wanted).ok();
        assert_eq!(of(&[], "").as_deref(), Some(""));
        assert_eq!(of(&[], "root"), None);
        assert_eq!(of(&["bob", "eve"], "").as_deref(), Some("bob"));
        assert_eq!(of(&["bob", "eve"], "eve").as_deref(), Some("eve"));
        assert_eq!(of(&["bob"], "root"), None);
        assert_eq!(Caller::of_directory().run_as("root").ok().as_deref(), Some("root"));
    }
}
