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

    /// Whether a call that creates may be sent again with the same words, and when, by the EC2 API
    /// Reference, "Error codes", and the retry lists of the Rust SDK.
    #[test]
    fn every_code_has_the_class_that_aws_documents() {
        let rows: &[(ErrorClass, &[&str])] = &[
            // The SDK's own list of throttling codes.
            (
                ErrorClass::Throttled,
                &[
                    "RequestLimitExceeded",
                    "Throttling",
                    "ThrottlingException",
                    "ThrottledException",
                    "RequestThrottledException",
                    "RequestThrottled",
                    "TooManyRequestsException",
                    "ProvisionedThroughputExceededException",
                    "TransactionInProgressException",
                    "BandwidthLimitExceeded",
                    "LimitExceededException",
                    "SlowDown",
                    "PriorRequestNotComplete",
                    "EC2ThrottledException",
                    // A short pause is all they ask for.
                    "ConcurrentTagAccess",
                    "RetryableError",
                ],
            ),
            // Nobody knows how far the call had come: looked for before it is sent again.
            (
                ErrorClass::UnknownOutcome,
                &[
                    "InternalError",
                    "InternalFailure",
                    "ServiceUnavailable",
                    "Unavailable",
                    "RequestTimeout",
                    "RequestTimeoutException",
                ],
            ),
            // Left to a later heartbeat, and never called a failure.
            (
                ErrorClass::Limited,
                &[
                    "SnapshotCreationPerVolumeRateExceeded",
                    "ConcurrentSnapshotLimitExceeded",
                    "PendingSnapshotLimitExceeded",
                    "ResourceLimitExceeded",
                    "ConcurrentCreateImageNoRebootLimitExceeded",
                ],
            ),
            (ErrorClass::InUse, &["InvalidSnapshot.InUse"]),
            (
                ErrorClass::WrongState,
                &["IncorrectState", "InvalidState", "IncorrectInstanceState"],
            ),
            (
                ErrorClass::NotFound,
                &[
                    "InvalidAMIID.NotFound",
                    "InvalidAMIID.Unavailable",
                    // What KMS says of a key that is not there.
                    "NotFoundException",
                    "InvalidSnapshot.NotFound",
                    "InvalidVolume.NotFound",
                    "InvalidInstanceID.NotFound",
                ],
            ),
            (
                ErrorClass::Denied,
                &["UnauthorizedOperation", "AuthFailure"],
            ),
            (
                ErrorClass::Permanent,
                &[
                    "SnapshotLimitExceeded",
                    "TagLimitExceeded",
                    "FilterLimitExceeded",
                    "InvalidMaxResults",
                    "InvalidPaginationToken",
                    "InvalidParameter",
                    "InvalidParameterValue",
                    "InvalidParameterCombination",
                    "InvalidSnapshotID.Malformed",
                    "InvalidAMIName.Malformed",
                    "CustomerKeyHasBeenRevoked",
                    "OperationNotPermitted",
                    "SnapshotCopyUnsupported.InterRegion",
                    "IdempotentParameterMismatch",
                    // The creating code looks the name up before it believes this one.
                    "InvalidAMIName.Duplicate",
                    // The success of a dry run, which is never asked for.
                    "DryRunOperation",
                ],
            ),
        ];
        for (class, codes) in rows {
            for code in *codes {
                assert_eq!(classify(code), *class, "{code}");
            }
        }
    }

    #[test]
    fn what_is_sent_again_is_what_may_succeed_with_the_same_words() {
        for (class, retryable) in [
            (ErrorClass::Throttled, true),
            (ErrorClass::Limited, true),
            (ErrorClass::UnknownOutcome, true),
            (ErrorClass::WrongState, true),
            (ErrorClass::NotFound, false),
            (ErrorClass::InUse, false),
            (ErrorClass::Denied, false),
            (ErrorClass::Permanent, false),
        ] {
            assert_eq!(class.is_retryable(), retryable, "{class:?}");
        }
    }

    #[test]
    fn a_code_nobody_listed_is_permanent() {
        assert_eq!(classify("Invented"), ErrorClass::Permanent);
        assert_eq!(classify(""), ErrorClass::Permanent);
    }
}
