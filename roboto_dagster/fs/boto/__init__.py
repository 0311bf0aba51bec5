"""The portable engine: S3 over boto3, for machines without libcurl."""
