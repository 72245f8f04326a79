"""What stands at the other end of bridges to SQS: ./dev test fetches it."""

import glob
import importlib
import os
import sys

from scenario import Skip

REGION = "eu-central-1"


def folder():
    """Where it is: test/sqs/setup.sh."""
    found = os.environ.get("TEST_SQS")
    if not found:
        raise Skip("TEST_SQS is not set: ./dev test fetches ElasticMQ, moto and boto3")
    return found


def imported(name):
    """A module of one of the packages of test/sqs/requirements.txt."""
    sys.path.extend(path for path in glob.glob(f"{folder()}/lib/python3*/site-packages") if path not in sys.path)
    return importlib.import_module(name)


def client(url, key_id="AKIATEST", secret="secret", token=None):
    """boto3's, of that endpoint."""
    boto3, config = imported("boto3"), imported("botocore.config")
    return boto3.client("sqs", endpoint_url=url, region_name=REGION, aws_access_key_id=key_id,
                        aws_secret_access_key=secret, aws_session_token=token,
                        config=config.Config(retries={"total_max_attempts": 1}, read_timeout=40))
