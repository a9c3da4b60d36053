"""The only package that knows MQTT: the source, the publisher, the simulator, the demo broker."""
