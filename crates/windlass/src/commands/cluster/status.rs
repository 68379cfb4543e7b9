//! `windlass cluster status`: who belongs to the cluster, who votes and leads, and what it survives.

use model::text;
use proto::api::{ClusterMember, GetClusterRequest, GetClusterResponse};

use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;
use crate::show::table::{Align, Table, plain};

#[derive(clap::Args, Debug, Default)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let cluster = client.rpc.get_cluster(GetClusterRequest {}).await;
    let cluster = cluster.map_err(|status| client.failure("look at the cluster", &status))?;
    let cluster = cluster.into_inner();
    if args.json {
        out::json(&api::json::ClusterStatus::from(&cluster))?;
        return Ok(0);
    }
    out::data(head(&cluster))?;
    out::data(wrong_clocks(&cluster))?;
    out::data(table(&cluster))?;
    Ok(0)
}

fn head(cluster: &GetClusterResponse) -> String {
    let named = |member: &&ClusterMember| member.id == cluster.leader;
    let leader = match cluster.members.iter().find(named) {
        Some(leader) => format!("{} (term {})", leader.name, cluster.term),
        None => "none is known: a majority of the voters has to be there".to_owned(),
    };
    format!(
        "cluster   {}, incarnation {}\nleader    {leader}\nsurvives  {}\n\n",
        cluster.cluster, cluster.incarnation, cluster.survives
    )
}

/// A line for each clock that is wrong.
fn wrong_clocks(cluster: &GetClusterResponse) -> String {
    let line = |member: &ClusterMember| {
        let ahead_ms = member.clock_ahead_ms.filter(|ahead_ms| node::clock_is_wrong(*ahead_ms))?;
        let off = text::duration_ms(ahead_ms.unsigned_abs());
        let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
        let name = plain(&member.name);
        Some(format!(
            "clock     {name} is {off} {way} the others and does not lead; set its clock\n"
        ))
    };
    let lines: String = cluster.members.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { lines + "\n" }
}

fn table(cluster: &GetClusterResponse) -> String {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("ROLES", Align::Left),
        ("VOTE", Align::Left),
        ("STATE", Align::Left),
        ("BEHIND", Align::Right),
        ("PEER", Align::Left),
        ("ID", Align::Left),
    ]);
    for member in &cluster.members {
        table.row(vec![
            member.name.clone(),
            member.roles.clone(),
            member.vote.clone(),
            member.state.clone(),
            member.behind.map(|behind| behind.to_string()).unwrap_or_default(),
            member.address.clone(),
            member.id.clone(),
        ]);
    }
    table.render()
}
