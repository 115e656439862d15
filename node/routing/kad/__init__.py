"""The Kademlia DHT of IPFS: messages, look-ups without I/O, a client and a server over them."""
