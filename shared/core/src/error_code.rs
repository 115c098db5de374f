//! What EC2's error codes mean, by code alone: messages are never read for decisions.
//!
//! The codes are those of the EC2 API Reference, "Error codes", and of the Rust SDK's own lists of
//! throttling and transient codes (`aws-runtime` 1.10.2). A code that nobody listed is permanent:
//! asking again with the same words is not known to help.

use crate::ports::ErrorClass;

/// The class of an error code. An answer without a code, or one known only by its HTTP status, is
/// the adapter's to classify.
#[must_use]
pub fn classify(code: &str) -> ErrorClass {
    match code {
        // EC2 answers RequestLimitExceeded with HTTP 503: the code, not the status, decides.
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottledException"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "TransactionInProgressException"
        | "BandwidthLimitExceeded"
        | "LimitExceededException"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "EC2ThrottledException"
        // A short pause is all that these ask for, and nothing was done.
        | "ConcurrentTagAccess"
        | "RetryableError" => ErrorClass::Throttled,

        "SnapshotCreationPerVolumeRateExceeded"
        | "ConcurrentSnapshotLimitExceeded"
        | "PendingSnapshotLimitExceeded"
        | "ResourceLimitExceeded"
        | "ConcurrentCreateImageNoRebootLimitExceeded" => ErrorClass::Limited,

        // A failure inside the service does not say how far the call had come.
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "Unavailable"
        | "RequestTimeout"
        | "RequestTimeoutException" => ErrorClass::UnknownOutcome,

        "InvalidSnapshot.InUse" | "VolumeInUse" => ErrorClass::InUse,

        "IncorrectState" | "InvalidState" | "IncorrectInstanceState" => ErrorClass::WrongState,

        "InvalidAMIID.Unavailable" | "NotFoundException" => ErrorClass::NotFound,

        "UnauthorizedOperation"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "Blocked"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "MissingAuthenticationToken"
        | "OptInRequired"
        | "PendingVerification"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => ErrorClass::Denied,

        // InvalidSnapshot.NotFound, InvalidVolume.NotFound, InvalidLaunchTemplateId.NotFound, …
        other if other.ends_with(".NotFound") || other.ends_with(".NotFoundException") => {
            ErrorClass::NotFound
        }

        _ => ErrorClass::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_class_that_aws_documents() {
        for (code, class) in [
            ("RequestLimitExceeded", ErrorClass::Throttled),
            ("Throttling", ErrorClass::Throttled),
            ("ConcurrentTagAccess", ErrorClass::Throttled),
            ("SnapshotCreationPerVolumeRateExceeded", ErrorClass::Limited),
            ("ConcurrentSnapshotLimitExceeded", ErrorClass::Limited),
            ("PendingSnapshotLimitExceeded", ErrorClass::Limited),
            ("ResourceLimitExceeded", ErrorClass::Limited),
            ("InternalError", ErrorClass::UnknownOutcome),
            ("Unavailable", ErrorClass::UnknownOutcome),
            ("ServiceUnavailable", ErrorClass::UnknownOutcome),
            ("InvalidSnapshot.InUse", ErrorClass::InUse),
            ("IncorrectState", ErrorClass::WrongState),
            ("IncorrectInstanceState", ErrorClass::WrongState),
            ("InvalidSnapshot.NotFound", ErrorClass::NotFound),
            ("InvalidVolume.NotFound", ErrorClass::NotFound),
            ("InvalidInstanceID.NotFound", ErrorClass::NotFound),
            ("InvalidAMIID.Unavailable", ErrorClass::NotFound),
            ("NotFoundException", ErrorClass::NotFound),
            ("UnauthorizedOperation", ErrorClass::Denied),
            ("AuthFailure", ErrorClass::Denied),
            ("OperationNotPermitted", ErrorClass::Permanent),
            ("SnapshotLimitExceeded", ErrorClass::Permanent),
            ("TagLimitExceeded", ErrorClass::Permanent),
            ("InvalidParameterValue", ErrorClass::Permanent),
            ("InvalidSnapshotID.Malformed", ErrorClass::Permanent),
            ("InvalidAMIName.Duplicate", ErrorClass::Permanent),
            ("DryRunOperation", ErrorClass::Permanent),
        ] {
            assert_eq!(classify(code), class, "{code}");
        }
    }

    #[test]
    fn a_code_nobody_listed_is_permanent() {
        assert_eq!(classify("Invented"), ErrorClass::Permanent);
        assert_eq!(classify(""), ErrorClass::Permanent);
    }
}
