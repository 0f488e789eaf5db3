"""Loopback blocks: unique on the machine, released with the last process that holds them."""

import socket

from pretrain_local import addresses
from pretrain_local.addresses import POD_ADDRESSES, LoopbackBlock


def test_two_clusters_never_get_the_same_block() -> None:
    first, first_socket = addresses.reserve()
    second, second_socket = addresses.reserve(first.number)
    with first_socket, second_socket:
        assert first.number != second.number


def test_a_cluster_gets_its_old_block_back_once_it_is_free() -> None:
    block, reservation = addresses.reserve()
    reservation.close()
    again, reservation = addresses.reserve(block.number)
    reservation.close()
    assert again == block


def test_pod_addresses_are_unique_and_never_the_hosts() -> None:
    block = LoopbackBlock(77)
    addresses_of_pods = {block.pod(index) for index in range(POD_ADDRESSES)}
    assert len(addresses_of_pods) == POD_ADDRESSES
    assert not [address for address in addresses_of_pods if address.startswith("127.77.0.")]
    assert block.pod(0) == "127.77.1.1"
    assert block.pod(POD_ADDRESSES - 1) == "127.77.254.254"


def test_every_pod_address_can_be_bound_by_an_ordinary_user() -> None:
    with socket.create_server((LoopbackBlock(77).pod(1234), 0)) as server:
        assert server.getsockname()[0] == "127.77.5.219"


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.77.0.9", 0)) as server:
        taken = server.getsockname()[1]
        assert addresses.free_port("127.77.0.9", taken) != taken
        assert addresses.free_port("127.77.0.10", taken) == taken
