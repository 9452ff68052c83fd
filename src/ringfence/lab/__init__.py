"""The one-machine cloud: Debian 13 hosts in namespaces, with real libvirt, QEMU, OVS and OVN, and two guest images.

`cloud.Lab` is the face that tests, the demo and `ringfence lab` use. The lab knows nothing of the controller: it brings
up hosts and OVN's central, and installs on the hosts what real hosts would be given. `joined` adds a controller to it.
"""
