//! What a job asks for and no node of the cluster has: such a job could never run, so it is refused.

use std::sync::Arc;

use machine::Node;
use model::job::Fault;
use model::{JobSpec, Resources, TaskSpec};

/// Tasks that no node could ever hold; none while there are no nodes.
pub(crate) fn faults<'a>(nodes: impl Iterator<Item = &'a Arc<Node>>, spec: &JobSpec) -> Vec<Fault> {
    let nodes: Vec<Resources> = nodes.map(|node| node.capacity).collect();
    let fault = |(at, task): (usize, &TaskSpec)| fault(&nodes, at, task);
    match nodes.is_empty() {
        true => Vec::new(),
        false => spec.tasks.iter().enumerate().filter_map(fault).collect(),
    }
}

fn fault(nodes: &[Resources], at: usize, task: &TaskSpec) -> Option<Fault> {
    let (wants, placement) = (task.resources, task.placement);
    let fits = |capacity: Resources| capacity.has_room(Resources::default(), wants);
    if nodes.iter().any(|capacity| fits(placement.limit(*capacity))) {
        return None;
    }
    let most = Resources {
        cpu_milli: nodes.iter().map(|node| node.cpu_milli).max().unwrap_or(0),
        memory_bytes: nodes.iter().map(|node| node.memory_bytes).max().unwrap_or(0),
    };
    if nodes.iter().any(|capacity| fits(*capacity)) {
        let share = placement.headroom_percent;
        return Some(Fault {
            field: format!("tasks[{at}].placement.headroom"),
            problem: format!(
                "no node can hold {wants} and keep {share}% free; the most there is: {most}"
            ),
        });
    }
    // Each alone may fit, on different nodes.
    let which = match (wants.cpu_milli > most.cpu_milli, wants.memory_bytes > most.memory_bytes) {
        (true, false) => ".cpu_milli",
        (false, true) => ".memory_bytes",
        _ => "",
    };
    Some(Fault {
        field: format!("tasks[{at}].resources{which}"),
        problem: format!("no node has {wants}; the most there is: {most}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Placement;

    fn check(cpu_milli: u64, memory_bytes: u64, placement: &str, expected: &[&str]) {
        let node = |cpu_milli, memory_bytes| {
            let capacity = Resources { cpu_milli, memory_bytes };
            Arc::new(Node { capacity, ..Node::default() })
        };
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.resources = Resources { cpu_milli, memory_bytes };
        task.placement = Placement::parse(placement).unwrap();
        let spec = JobSpec { tasks: vec![task], ..JobSpec::default() };
        let faults = faults([node(4_000, 10), node(2_000, 20)].iter(), &spec);
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, expected, "{cpu_milli}, {memory_bytes}, {placement}");
        assert!(super::faults([].iter(), &spec).is_empty());
    }

    #[test]
    fn what_no_node_has_is_named() {
        check(4_000, 10, "pull", &[]);
        check(5_000, 10, "pull", &["tasks[0].resources.cpu_milli"]);
        check(4_000, 21, "pull", &["tasks[0].resources.memory_bytes"]);
        check(4_000, 20, "pull", &["tasks[0].resources"]);
    }

    #[test]
    fn headroom_that_no_node_could_keep_is_named() {
        check(2_000, 5, "spread,headroom=50%", &[]);
        check(2_500, 5, "spread,headroom=50%", &["tasks[0].placement.headroom"]);
        check(5_000, 5, "spread,headroom=50%", &["tasks[0].resources.cpu_milli"]);
    }
}
