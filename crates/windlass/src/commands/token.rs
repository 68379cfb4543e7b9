//! `windlass token`: who is let in, and to do what.

use model::Role;
use proto::api::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token};

use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::table::{Align, Table};
use crate::show::{out, time};

const EXAMPLES: &str = "\
Examples:
  windlass token create ci --role submitter --expires 90d
  windlass token create team-b --role submitter --run-as bob --owner bob
  WINDLASS_TOKEN=wl_… windlass ps
  windlass token ls
  windlass token revoke ci --reason 'it was in a log'

Roles: a viewer sees runs, output and nodes; a submitter also submits, and
cancels and repeats runs of its own; an operator changes everybody's runs,
purges, and takes nodes down; an admin also makes tokens and reads the audit.
The token in a node's data directory is an admin's.";

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Make a token and print it, once
    Create(CreateArgs),
    /// List tokens (the default)
    Ls(ListArgs),
    /// Take a token no more, from now on
    Revoke(RevokeArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
struct CreateArgs {
    /// For people; no other token has the same
    name: String,
    /// `viewer`, `submitter`, `operator` or `admin`
    #[arg(long, value_name = "ROLE", value_parser = role)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::roles))]
    role: Role,
    /// Expire after so long: `12h`, `90d` (else never)
    #[arg(long, value_name = "TIME", value_parser = model::text::parse_duration_ms)]
    expires: Option<u64>,
    /// Whose the runs are that are submitted with it (its name)
    #[arg(long, value_name = "USER", default_value = "", hide_default_value = true)]
    owner: String,
    /// Let jobs run as USER, any number of times (else as the node's own)
    #[arg(long, value_name = "USER")]
    run_as: Vec<String>,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct RevokeArgs {
    /// Its name or its id
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::tokens))]
    token: String,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    match args.command {
        Some(Command::Create(args)) => create(&mut client, args).await,
        Some(Command::Revoke(args)) => revoke(&mut client, args).await,
        Some(Command::Ls(args)) => list(&mut client, args.json).await,
        None => list(&mut client, args.list.json).await,
    }
}

async fn create(client: &mut Client, args: CreateArgs) -> Result<u8, Failure> {
    let CreateArgs { name, role, expires, owner, run_as, reason, json } = args;
    let request = CreateTokenRequest {
        name,
        role: role.to_string(),
        owner,
        run_as,
        lasts_ms: expires.unwrap_or(0),
        reason,
        actor: actor(),
    };
    let made = client.rpc.create_token(request).await;
    let made = made.map_err(|status| client.failure("make a token", &status))?.into_inner();
    if json {
        out::json(&api::json::CreatedToken::from(&made))?;
        return Ok(0);
    }
    out::line(&made.text)?;
    let token = made.token.unwrap_or_default();
    let until = match token.expires_ms {
        0 => "until it is revoked".to_owned(),
        at_ms => format!("until {}", time::for_people_ms(at_ms)),
    };
    out::note(format!(
        "token {} ({}) lets a {} in {until}; it is shown only now",
        token.name, token.id, token.role
    ));
    Ok(0)
}

async fn revoke(client: &mut Client, args: RevokeArgs) -> Result<u8, Failure> {
    let RevokeArgs { token, reason } = args;
    let what = format!("revoke `{token}`");
    let request = RevokeTokenRequest { token, reason, actor: actor() };
    let gone = client.rpc.revoke_token(request).await;
    let gone = gone.map_err(|status| client.failure(&what, &status))?.into_inner();
    let token = gone.token.unwrap_or_default();
    out::line(format!("{} ({}) is taken no more", token.name, token.id))?;
    Ok(0)
}

async fn list(client: &mut Client, json: bool) -> Result<u8, Failure> {
    let answer = client.rpc.list_tokens(ListTokensRequest {}).await;
    let answer = answer.map_err(|status| client.failure("list tokens", &status))?;
    let tokens = answer.into_inner().tokens;
    if json {
        out::json(&api::json::Tokens::from(&tokens[..]))?;
        return Ok(0);
    }
    out::data(table(&tokens, time::now_ms()))?;
    if tokens.is_empty() {
        out::note("there are no tokens beside those of the nodes' data directories");
    }
    Ok(0)
}

fn table(tokens: &[Token], now_ms: u64) -> String {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("ID", Align::Left),
        ("ROLE", Align::Left),
        ("OWNER", Align::Left),
        ("RUNS AS", Align::Left),
        ("EXPIRES", Align::Left),
        ("USED", Align::Left),
        ("BY", Align::Left),
    ]);
    for token in tokens {
        table.row(vec![
            token.name.clone(),
            token.id.clone(),
            token.role.clone(),
            token.owner.clone(),
            token.run_as.join(","),
            match token.expires_ms {
                0 => "never".to_owned(),
                at_ms => format!("in {}", time::ago(at_ms, now_ms)),
            },
            match token.used_ms {
                0 => String::new(),
                at_ms => time::ago(now_ms, at_ms),
            },
            token.creator.clone(),
        ]);
    }
    table.render()
}

fn actor() -> String {
    format!("user:{}", client::user())
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| format!("it is one of {}", Role::ALL.map(Role::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_who_may_what_until_when() {
        let token = |name: &str, expires_ms, used_ms| Token {
            id: "0123456789".into(),
            name: name.into(),
            role: "submitter".into(),
            owner: "bob".into(),
            run_as: vec!["bob".into(), "eve".into()],
            created_ms: 1,
            expires_ms,
            creator: "user:ann".into(),
            used_ms,
        };
        let tokens = [token("ci", 0, 0), token("team", 90_000_000, 880_000)];
        insta::assert_snapshot!(table(&tokens, 1_000_000), @r"
        NAME  ID          ROLE       OWNER  RUNS AS  EXPIRES  USED  BY
        ci    0123456789  submitter  bob    bob,eve  never          user:ann
        team  0123456789  submitter  bob    bob,eve  in 1d    2m    user:ann
        ");
    }
}
