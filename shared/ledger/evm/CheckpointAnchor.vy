# pragma version 0.4.3
# pragma evm-version london
# SPDX-License-Identifier: Apache-2.0
"""
@title CheckpointAnchor
@notice Keeps what transparency logs have signed: tree sizes and roots, never records.
@dev A log is known by the SHA-256 of its origin line. Its registered writers, one for each organisation, state
     "this log signed this root for this size". The first such statement about a size stands for ever: the same
     size with another root (a fork) is refused, and so is a size below the largest one that was never stated
     before (a rollback). A writer that repeats what stands confirms it. Whether a larger tree contains the
     smaller one is NOT checked here, it would cost too much: whoever reads two anchored roots compares them with
     a consistency proof (RFC 9162 2.1.4). Signatures of the log are not checked here either (Ed25519): the
     signed note is published in the event, and its readers check it.

     Governors, k of n, register writers and replace each other. A call that k of them have made in the same epoch
     takes effect; each effect begins a new epoch, in which older approvals count no more. What a writer stated
     stands even when the writer is removed, but the largest size is then that of the others: a stolen key can
     block a log only until its owner's fellows have removed it.

     Storage that light clients read: `anchors` (slot 1), `heads` (slot 2). Every loop and argument is bounded.
"""

MAX_GOVERNORS: constant(uint256) = 16
MAX_WRITERS: constant(uint256) = 64
MAX_NOTE: constant(uint256) = 4096
MAX_SIZE: constant(uint256) = 2**63 - 1
SET_WRITER: constant(uint256) = 1
REPLACE_GOVERNOR: constant(uint256) = 2

struct Anchored:
    root: bytes32
    stamp: uint256  # block time << 192 | block number << 128 | count << 64 | which writers have confirmed, one bit each

anchors: HashMap[bytes32, HashMap[uint256, Anchored]]
heads: HashMap[bytes32, uint256]  # number of anchored sizes << 64 | the largest that an active writer stated
sizes: HashMap[bytes32, HashMap[uint256, uint256]]
writers: HashMap[bytes32, HashMap[address, uint256]]  # active << 8 | 1 + place; 0 for one never registered
stated: HashMap[bytes32, HashMap[address, uint256]]  # the largest size each active writer stated
writer_lists: HashMap[bytes32, DynArray[address, MAX_WRITERS]]
governors: DynArray[address, MAX_GOVERNORS]
threshold: public(uint256)
epoch: public(uint256)
approvals: HashMap[bytes32, uint256]

event Anchor:
    origin: indexed(bytes32)
    size: indexed(uint256)
    writer: indexed(address)
    root: bytes32
    note: Bytes[MAX_NOTE]

event Confirmation:
    origin: indexed(bytes32)
    size: indexed(uint256)
    writer: indexed(address)

event Approval:
    action: indexed(bytes32)
    governor: indexed(address)
    approvals: uint256

event WriterSet:
    origin: indexed(bytes32)
    writer: indexed(address)
    active: bool

event GovernorReplaced:
    old: indexed(address)
    new: indexed(address)


@deploy
def __init__(governors: DynArray[address, MAX_GOVERNORS], threshold: uint256):
    assert threshold > 0 and threshold <= len(governors), "threshold: must be 1 to the number of governors"
    for governor: address in governors:
        assert governor != empty(address), "governor: no address"
        assert governor not in self.governors, "governor: named twice"
        self.governors.append(governor)
    self.threshold = threshold


@external
def anchor(origin: bytes32, size: uint256, root: bytes32, note: Bytes[MAX_NOTE]):
    """
    @notice State that a log signed `root` for `size` entries; `note` is its signed checkpoint.
    """
    entry: uint256 = self.writers[origin][msg.sender]
    assert entry >> 8 == 1, "foreign: not a writer of this log"
    assert size > 0 and size <= MAX_SIZE, "empty: no tree size"
    assert root != empty(bytes32), "empty: no root"
    bit: uint256 = 1 << ((entry & 255) - 1)
    head: uint256 = self.heads[origin]
    largest: uint256 = head & (2**64 - 1)
    count: uint256 = head >> 64
    stood: Anchored = self.anchors[origin][size]
    if stood.root != empty(bytes32):
        assert stood.root == root, "fork: this size stands with another root"
        if stood.stamp & bit == 0:
            self.anchors[origin][size].stamp = stood.stamp | bit
            log Confirmation(origin=origin, size=size, writer=msg.sender)
    else:
        assert size > largest, "rollback: larger sizes stand already"
        assert len(note) > 0, "empty: no note"
        self.anchors[origin][size] = Anchored(
            root=root, stamp=(block.timestamp << 192) | (block.number << 128) | (count << 64) | bit
        )
        self.sizes[origin][count] = size
        count += 1
        log Anchor(origin=origin, size=size, writer=msg.sender, root=root, note=note)
    if size > largest:
        self.heads[origin] = (count << 64) | size
    if size > self.stated[origin][msg.sender]:
        self.stated[origin][msg.sender] = size


@external
def set_writer(origin: bytes32, writer: address, active: bool):
    """
    @notice A governor's word that an address may, or may no longer, speak for an organisation about a log.
    """
    assert writer != empty(address), "empty: no writer"
    entry: uint256 = self.writers[origin][writer]
    assert (entry >> 8 == 1) != active, "unchanged: the writer is so already"
    if not self._approved(keccak256(abi_encode(SET_WRITER, origin, writer, active, self.epoch))):
        return
    if entry == 0:
        self.writer_lists[origin].append(writer)
        entry = len(self.writer_lists[origin])
    self.writers[origin][writer] = (entry & 255) | (256 if active else 0)
    if not active:
        self.stated[origin][writer] = 0
        largest: uint256 = 0
        for each: address in self.writer_lists[origin]:
            largest = max(largest, self.stated[origin][each])
        self.heads[origin] = ((self.heads[origin] >> 64) << 64) | largest
    log WriterSet(origin=origin, writer=writer, active=active)


@external
def replace_governor(old: address, new: address):
    """
    @notice A governor's word that another address takes the place of a governor; their number stays.
    """
    assert new != empty(address), "empty: no governor"
    assert new not in self.governors, "unchanged: a governor already"
    place: uint256 = self._place(old)
    if not self._approved(keccak256(abi_encode(REPLACE_GOVERNOR, old, new, self.epoch))):
        return
    self.governors[place] = new
    log GovernorReplaced(old=old, new=new)


@internal
def _approved(action: bytes32) -> bool:
    voted: uint256 = self.approvals[action] | (1 << self._place(msg.sender))
    self.approvals[action] = voted
    count: uint256 = 0
    for place: uint256 in range(MAX_GOVERNORS):
        count += (voted >> place) & 1
    log Approval(action=action, governor=msg.sender, approvals=count)
    if count < self.threshold:
        return False
    self.epoch += 1
    return True


@view
@internal
def _place(governor: address) -> uint256:
    for place: uint256 in range(len(self.governors), bound=MAX_GOVERNORS):
        if self.governors[place] == governor:
            return place
    raise "foreign: not a governor"


@view
@external
def latest(origin: bytes32) -> (uint256, bytes32, uint256):
    """
    @return The largest anchored size, its root and the time of its block; zeros for a log never anchored.
    """
    size: uint256 = self.heads[origin] & (2**64 - 1)
    stood: Anchored = self.anchors[origin][size]
    return size, stood.root, stood.stamp >> 192


@view
@external
def anchored(origin: bytes32, size: uint256) -> (bytes32, uint256, uint256, uint256):
    """
    @return Root, block time, block number and confirming writers (bit i: writer i) of a size; zeros if it never was anchored.
    """
    stood: Anchored = self.anchors[origin][size]
    return stood.root, stood.stamp >> 192, (stood.stamp >> 128) & (2**64 - 1), stood.stamp & (2**64 - 1)


@view
@external
def history(origin: bytes32, place: uint256) -> uint256:
    """
    @return The size that was anchored as number `place`, from 0; 0 beyond the last.
    """
    return self.sizes[origin][place]


@view
@external
def anchored_count(origin: bytes32) -> uint256:
    """
    @return How many sizes of a log were anchored.
    """
    return self.heads[origin] >> 64


@view
@external
def writers_of(origin: bytes32) -> DynArray[address, MAX_WRITERS]:
    """
    @return All writers a log ever had, in the order of their bits.
    """
    return self.writer_lists[origin]


@view
@external
def is_writer(origin: bytes32, writer: address) -> bool:
    """
    @return Whether an address may anchor now.
    """
    return self.writers[origin][writer] >> 8 == 1


@view
@external
def all_governors() -> DynArray[address, MAX_GOVERNORS]:
    """
    @return The governors.
    """
    return self.governors
