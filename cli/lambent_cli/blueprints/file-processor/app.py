"""Looks at files as they are put into a bucket (S3 event notifications)."""

from urllib.parse import unquote_plus


def handler(event, context):
    return {"files": [process(record["s3"]) for record in event["Records"]]}


def process(s3):
    """One file. Keys are URL-encoded in the event: `my file.csv` comes as `my+file.csv`."""
    bucket, key = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
    print(f"{bucket}/{key}: {s3['object']['size']} bytes")
    # To read it: boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(). The variable AWS_ENDPOINT_URL_S3
    # in function.yaml says where a store of your own answers.
    return {"bucket": bucket, "key": key, "kind": key.rpartition(".")[2], "size": s3["object"]["size"]}
