"""The real servers, for every test in this folder."""

from tests.real.fixtures import hbase, hbase_url, kafka, kafka_url, mariadb, mariadb_url

__all__ = ["hbase", "hbase_url", "kafka", "kafka_url", "mariadb", "mariadb_url"]
