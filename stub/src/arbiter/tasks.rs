//! Which task has which plan: the same on all CPUs, and looked at only when claims change.

use super::claim::TaskId;
use super::plan::PlanId;

/// A task with claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// What it carries.
    pub plan: PlanId,
}

/// Which task has which plan: the same on all CPUs.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(super) struct Tasks<const TASKS: usize> {
    places: [Place; TASKS],
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
struct Place {
    task: Option<TaskId>,
    generation: u32,
}

impl<const TASKS: usize> Tasks<TASKS> {
    pub const NONE: Self = Tasks { places: [Place { task: None, generation: 0 }; TASKS] };

    /// The tasks that have a plan.
    pub fn iter(&self) -> impl Iterator<Item = Task> + Clone {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let plan = PlanId::new(index, place.generation, TASKS);
            place.task.map(|id| Task { id, plan })
        })
    }

    /// The plan of a task.
    pub fn plan_of(&self, task: TaskId) -> PlanId {
        self.iter().find(|known| known.id == task).map_or(PlanId::NONE, |known| known.plan)
    }

    /// Takes the places of tasks that are `gone`, and gives places to `with_claims`.
    pub fn update(
        &mut self,
        is_gone: impl Fn(TaskId) -> bool,
        with_claims: impl Iterator<Item = TaskId>,
    ) {
        for place in &mut self.places {
            if place.task.is_some_and(&is_gone) {
                *place = Place { task: None, generation: place.generation.wrapping_add(1) };
            }
        }
        for task in with_claims {
            if self.places.iter().any(|place| place.task == Some(task)) {
                continue;
            }
            let free = self.places.iter_mut().find(|place| place.task.is_none());
            debug_assert!(free.is_some(), "admission let too many tasks in");
            if let Some(place) = free {
                place.task = Some(task);
            }
        }
    }

    /// Each place, in order, with the number and the task that it has now.
    pub fn places(&self) -> impl Iterator<Item = (usize, PlanId, Option<TaskId>)> {
        self.places.iter().enumerate().map(|(index, place)| match place.task {
            Some(_) => (index, PlanId::new(index, place.generation, TASKS), place.task),
            None => (index, PlanId::NONE, None),
        })
    }
}
