package capacity

// Limits that providers document for what one account or key prefix gets by itself. Where they document several, by region,
// the smaller one.
const (
	s3Reads       = 5500           // GET and HEAD requests a second of one prefix: S3's documented limit
	azureRequests = 20_000         // requests a second of one storage account: Azure's documented limit
	azureIngress  = 25_000_000_000 // bits a second into one storage account: Azure's documented limit
	maxPayload    = 1<<20 - 32<<10 // bytes of an event: NATS's default max_payload, less what ingress leaves free
)

// What deploy/kubernetes gives the programs; a test holds the manifests against it.
const (
	mostWorkers   = 8          // of a tier: maxReplicaCount
	ingresses     = 4          // replicas of production's ingress
	reconcileDisk = 20 << 30   // sizeLimit of the reconciler's /tmp
	redisMemory   = 1500 << 20 // maxmemory of production's Redis
	natsDisk      = 90 << 30   // maxSize of production's file store
	natsMemory    = 2 << 30    // memory limit of production's NATS servers
)
