//! Requests of Systems Manager, API version 2014-11-06: what runs in an instance.

use super::PageRequest;

structures! {
    /// Lists the instances that Systems Manager manages.
    DescribeInstanceInformation {
        /// Only these (filter `InstanceIds`); none is every one.
        instances: Vec<String>,
        /// Page, `MaxResults` from 5 to 50.
        page: PageRequest,
    }
    /// Runs a document with the parameters `executionId` and `command` in one instance.
    SendCommand {
        /// The instance.
        instance: String,
        /// Name or ARN of the document.
        document: String,
        /// `executionId`.
        execution: String,
        /// `command`: `pre-script`, `post-script` or `dry-run`.
        script: String,
        /// For how many seconds it may lie undelivered; none is an hour.
        timeout_seconds: Option<i32>,
    }
    /// How far a command has come in one instance.
    GetCommandInvocation {
        /// The command.
        command: String,
        /// The instance.
        instance: String,
    }
}
