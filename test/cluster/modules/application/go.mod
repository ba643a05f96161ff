module operation-runner/test/cluster/application

go 1.26.0
