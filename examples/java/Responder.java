import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** Answers requests for prices. They come as its pod's annotations declare: all replicas share
 * one queue, each request goes to one of them, and waits there while none is up. */
class Responder extends Callback {
	static MqttAsyncClient client;

	@Override public void messageArrived(String topic, MqttMessage request) throws Exception {
		var to = request.getProperties().getResponseTopic();
		if (to == null)
			return;
		var reply = message(request.toString().length() + ".00", 1);
		reply.getProperties().setCorrelationData(request.getProperties().getCorrelationData());
		client.publish(to, reply);
	}

	public static void main(String[] args) throws Exception {
		client = new MqttAsyncClient("tcp://localhost:1883", "prices", null);
		client.setCallback(new Responder());
		client.connect(options(0)).waitForCompletion(); // and again by itself
	}
}
