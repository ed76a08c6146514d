module github.com/twinreel/twinreel/worker-primary

go 1.26.0
