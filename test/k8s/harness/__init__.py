"""A real one-node Kubernetes for the tests and for people, on this machine.

    paths       where everything is; one cluster at a time on a machine
    binaries    builds Kubernetes, helm and CoreDNS once, into a cache
    images      builds the images that pods use, and brings archives into the cluster
    pki         the cluster's certificates, kubeconfigs and signing key
    parts       command lines and configuration of etcd, containerd, kubelet, ...
    node        namespaces and processes: start, stop, and an end that always works
    addons      what is applied to every new cluster: CoreDNS, the StorageClass
    volumes     keeps local PersistentVolumes at hand; a process on the node
    api         requests to the API server
    lifecycle   up and down, for people and for a run of the tests
    handle      what a test case gets
    tokens      service-account tokens, the cluster's own and forged ones

The node lives in network, mount and PID namespaces of its own: the machine's
network, its processes and an engine for containers that it may have are left alone."""
