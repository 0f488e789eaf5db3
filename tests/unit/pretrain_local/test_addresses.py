"""Loopback blocks: unique over the machine, released with the last process that holds them."""

import socket

from pretrain_local import addresses
from pretrain_local.addresses import PODS, Block


def test_two_clusters_never_get_the_same_block() -> None:
    first, first_holder = addresses.reserve()
    second, second_holder = addresses.reserve(first.number)
    with first_holder, second_holder:
        assert first.number != second.number


def test_a_cluster_gets_its_old_block_back_once_it_is_free() -> None:
    block, holder = addresses.reserve()
    holder.close()
    again, holder = addresses.reserve(block.number)
    holder.close()
    assert again == block


def test_pod_addresses_are_unique_and_never_the_hosts() -> None:
    block = Block(77)
    found = {block.pod(index) for index in range(PODS)}
    assert len(found) == PODS
    assert not [address for address in found if address.startswith("127.77.0.")]
    assert block.pod(0) == "127.77.1.1"
    assert block.pod(PODS - 1) == "127.77.254.254"


def test_every_pod_address_can_be_bound_by_an_ordinary_user() -> None:
    with socket.create_server((Block(77).pod(1234), 0)) as server:
        assert server.getsockname()[0] == "127.77.5.219"


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.77.0.9", 0)) as server:
        taken = server.getsockname()[1]
        assert addresses.free_port("127.77.0.9", taken) != taken
        assert addresses.free_port("127.77.0.10", taken) == taken
