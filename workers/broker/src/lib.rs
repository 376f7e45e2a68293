//! Worker kind mqtt_broker: an embedded MQTT broker
