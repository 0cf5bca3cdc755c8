mod targets;
mod ways;
