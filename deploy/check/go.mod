module github.com/twinreel/twinreel/deploy/check

go 1.26.0
