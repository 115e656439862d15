"""All settings with their defaults: one section a table of config.toml, one field a key."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.config.host_policy import HostPolicy


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The public face: read-only content over HTTP."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 = any free one
    first_byte_timeout: float = 30.0  # seconds until a 504 when content has to be fetched
    negative_ttl: float = 10.0  # seconds that a block which could not be had is not looked for again
    subdomain_hosts: tuple[str, ...] = ("localhost",)  # hosts that give every root a subdomain of its own
    dnslink: bool = True  # serve a host that has a DNSLink as the site it leads to
    x_ipfs_path: bool = False  # send the header that Ipfs-Uri replaces (IPIP-548)
    trustless: bool = False  # give only what a client can verify: blocks, CARs, IPNS records
    fetch: bool = True  # ask others for content that is not here
    only_pinned: bool = False  # give only what the cluster pins
    hosts: tuple[str, ...] = ()  # `host word…`: what is different at one host and below it
    max_requests: int = 4096  # answered at once; 0, here and below: no limit
    max_response: int = 0  # bytes of a file, a TAR or a CAR
    max_range_file: int = 0  # bytes of a file of which ranges are given
    max_seconds: float = 3600.0  # that an answer may be sent
    max_connections: int = 10_000  # open at once
    client_connections: int = 512  # of one client, open at once
    idle_timeout: float = 120.0  # seconds until a connection without a whole request is ended
    send_timeout: float = 60.0  # seconds until a client that reads nothing is left
    client_requests: int = 0  # of one client, answered at once
    client_rate: float = 0.0  # requests of one client a second
    client_burst: int = 100  # requests that a client may make at once before its rate counts
    client_bytes: int = 0  # sent to one client a second
    server_timing: bool = False  # send a header that says where the time of an answer went
    routing: bool = True  # say who has content, and where peers are (Delegated Routing V1)
    access_log: str = ""  # a file, `-` for standard output; empty = none
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # whose X-Forwarded-For is believed
    ssl_cert_file: str = ""  # PEM, beside the data folder's files or absolute; empty = no TLS
    ssl_key_file: str = ""

    def policy(self) -> HostPolicy:
        """What holds at every host that `hosts` does not name."""
        return HostPolicy(self.trustless, self.fetch, self.only_pinned, self.dnslink)


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """The part of Kubo's RPC that is built; for this machine's own tools."""

    host: str = "127.0.0.1"
    port: int = 5001
    auth: str = "never"  # or `always`: every request has to show the secret of the data folder
    ssl_cert_file: str = ""  # PEM, beside the data folder's files or absolute; empty = no TLS
    ssl_key_file: str = ""
    tls: str = "required"  # where other machines reach it; or `elsewhere`: a proxy encrypts


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The cluster REST API, which the command line uses."""

    host: str = "127.0.0.1"
    port: int = 9094
    auth: str = "admin"  # what gives power over the cluster has to show the secret; `always`: every request
    socket: str = ""  # path of a Unix socket beside the port, for its owner alone; empty = none
    cors_origins: tuple[str, ...] = ()  # whose pages may use it from browsers; * = any may read
    ssl_cert_file: str = ""  # PEM, beside the data folder's files or absolute; empty = no TLS
    ssl_key_file: str = ""
    tls: str = "required"  # where other machines reach it; or `elsewhere`: a proxy encrypts


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """What Prometheus asks."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8888
    auth: str = "never"  # or `always`: every scrape has to show a credential


@dataclass(frozen=True, slots=True)
class WebhooksConfig:
    """URLs that are told what happens."""

    urls: tuple[str, ...] = ()
    secret: str = ""  # that posts are signed with; needed where there are URLs
    types: tuple[str, ...] = ()  # of events; none = all


@dataclass(frozen=True, slots=True)
class SwarmConfig:
    """The open IPFS network: Bitswap with any peer."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 4001
    peers: tuple[str, ...] = ()  # multiaddresses with /p2p/ to stay connected to
    max_connections: int = 96
    peer_bytes: int = 0  # of blocks a second that one peer is given, but for those in `peers`; 0: no limit
    peer_wants: int = 4096  # that are kept of one peer, but for those in `peers`
    mdns: bool = False


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The members' private network and what they replicate."""

    host: str = "127.0.0.1"
    port: int = 9096
    announce: tuple[str, ...] = ()  # multiaddresses to put into invitations instead of the ones listened on
    peer_name: str = ""  # empty = the host's name
    mdns: bool = False
    replication_min: int = -1
    replication_max: int = -1
    concurrent_pins: int = 10
    pin_timeout: float = 120.0  # seconds without progress before a pin attempt fails
    batch_size: int = 1000  # pins gathered into one batch at most
    reconcile_interval: float = 300.0
    metric_interval: float = 15.0
    repin_grace: float = 300.0  # seconds a member may be gone before its pins are placed elsewhere
    repin_rate: float = 50.0  # pins a second that this member gives new holders at most
    allocate_by: tuple[str, ...] = ("tag:group", "freespace")
    tags: tuple[str, ...] = ("group=default",)
    member_pins: int = 0  # that one member may have in the pinset; 0, here and below: no limit
    member_mib: int = 0  # of the values of its pins
    log_keep_mib: int = 256  # of the pinset's log, once every member has it
    log_keep_days: float = 30.0  # of what some member lacks; it starts from a snapshot after that


@dataclass(frozen=True, slots=True)
class BulkConfig:
    """Where other members fetch blocks in bulk, by mutual TLS."""

    host: str = "127.0.0.1"
    port: int = 9098


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What holds for every way to others."""

    limits: tuple[str, ...] = ()  # `scope direction rate [HH:MM-HH:MM]`: bytes a second


@dataclass(frozen=True, slots=True)
class NamesConfig:
    """IPNS and DNSLink."""

    resolver: str = ""  # IP address of a DNS server, with a port or without; empty = the system's
    static: tuple[str, ...] = ()  # `name:/ipfs/…` entries that override both
    timeout: float = 10.0  # seconds until a DNS look-up fails
    stale: float = 3600.0  # seconds that an answer past its TTL is served while a fresh one is looked up
    negative_ttl: float = 10.0  # seconds that "not found" is remembered
    follow: float = 60.0  # seconds between looks where followed names lead
    republish: float = 14400.0  # seconds after which a published name is published again


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """Blocks from elsewhere than the networks."""

    gateways: tuple[str, ...] = ()  # URLs of trustless gateways, asked when no connected peer has a block


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """Who has what that neither members nor connected peers have."""

    dht: str = "off"  # client: ask the DHT; server: answer others too
    bootstrap: tuple[str, ...] = ()  # multiaddresses with /p2p/ of servers to find it by
    public: bool = False  # find it by servers that releases come with, where no others answer
    routers: tuple[str, ...] = ()  # URLs of routers that are asked over HTTP (Delegated Routing V1)


@dataclass(frozen=True, slots=True)
class ProvideConfig:
    """What the DHT is told of."""

    strategy: str = "roots"  # or all (blocks), pinned (blocks), none


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Blocks on disk."""

    profile: str = "standard"  # or edge: little memory, slow flash
    quota: int = 0  # bytes on the disk; 0 = as much as that holds, less `reserve`
    reserve: int = 512 * 1024 * 1024  # bytes of the disk that are never filled
    folders: tuple[str, ...] = ()  # for blocks, besides the data folder: one on each further disk
    cache_share: float = 0.25  # of the room for blocks: what content may take that was read and is not pinned
    gc_high: float = 0.9  # share of the room from which on garbage is collected by itself; 1 = never
    gc_low: float = 0.8  # share at which that ends
    scrub_share: float = 0.05  # of the disk's time: to read every block about once a month; 0 = never
    fast_malloc: bool = True  # keep freed memory while at work: faster reads of large blocks, some tens of MB


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the daemon logs on standard error."""

    level: str = "info"  # debug, info, warning, error
    format: str = "text"  # or json


@dataclass(frozen=True, slots=True)
class PinningConfig:
    """The Pinning Service API: every request shows a token."""

    host: str = "127.0.0.1"
    port: int = 9097
    ssl_cert_file: str = ""  # PEM, beside the data folder's files or absolute; empty = no TLS
    ssl_key_file: str = ""
    tls: str = "required"  # where other machines reach it; or `elsewhere`: a proxy encrypts


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What is written down of who changed what."""

    keep_mib: int = 32  # of records, in four files; 0 = none are kept


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a node."""

    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    rpc: RpcConfig = field(default_factory=RpcConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    webhooks: WebhooksConfig = field(default_factory=WebhooksConfig)
    swarm: SwarmConfig = field(default_factory=SwarmConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    bulk: BulkConfig = field(default_factory=BulkConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    names: NamesConfig = field(default_factory=NamesConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    provide: ProvideConfig = field(default_factory=ProvideConfig)
    log: LogConfig = field(default_factory=LogConfig)
    pinning: PinningConfig = field(default_factory=PinningConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
