module github.com/twinreel/twinreel/worker-backup

go 1.26.0
